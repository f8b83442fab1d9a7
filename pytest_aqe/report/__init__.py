"""What people see. Pure: data in, text out."""
