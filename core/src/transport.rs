//! The only file that knows the HTTP client.
