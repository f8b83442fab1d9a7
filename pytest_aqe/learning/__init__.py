"""What we conclude. Pure: values in, values out."""
