"""The web pages: NiceGUI on the same app as the REST interface, below /ui. Importing this package loads no NiceGUI."""
