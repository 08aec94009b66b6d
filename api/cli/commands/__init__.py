"""The commands of searchctl, a file per noun or verb."""
