"""Pictures drawn by code, so that the whole chain can be shown and tested without the web."""
