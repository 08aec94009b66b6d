"""What trained models say of images in files, one module per task."""
