"""What requests and answers look like in JSON, one file per noun."""
