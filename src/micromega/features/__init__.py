"""Raw media in, feature arrays out."""
