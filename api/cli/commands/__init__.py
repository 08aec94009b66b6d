"""The commands of searchctl, one file per noun or verb."""
