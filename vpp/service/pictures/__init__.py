"""Reports as one HTML file each: pictures drawn inside it, nothing fetched from elsewhere."""
