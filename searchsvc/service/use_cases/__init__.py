"""The use cases, one class per noun. REST, searchctl and the web pages reach them through `Service`."""
