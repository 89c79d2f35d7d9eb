"""Previews of a training: strips of pictures, their record, moving pictures, and their part of the report."""
