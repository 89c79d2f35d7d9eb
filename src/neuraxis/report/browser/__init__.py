"""The slice browser of a report: every case slice by slice, with marks; thumbnails; moving pictures."""
