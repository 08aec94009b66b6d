# One image for every part: API, controller, Ray head, workers. The command of a container selects the part.
FROM python:3.11.11-slim-bookworm

RUN useradd --system --uid 10001 --create-home searchsvc \
 && install -d -o searchsvc -g searchsvc /var/lib/searchsvc /var/lib/searchsvc/artifacts /var/lib/searchsvc/data
WORKDIR /opt/searchsvc

# Dependencies come first: they are large and rarely change.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir searchsvc workers api migrations \
 && pip install --no-cache-dir --constraint constraints.txt . \
 && pip uninstall --yes searchsvc

COPY examples examples/
COPY searchsvc searchsvc
COPY workers workers
COPY api api
COPY migrations migrations
RUN pip install --no-cache-dir --no-deps --constraint constraints.txt .

ENV SEARCHSVC_DATA_DIR=/var/lib/searchsvc \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0
USER searchsvc
WORKDIR /home/searchsvc
EXPOSE 8700
CMD ["searchctl", "serve", "--host", "0.0.0.0"]
