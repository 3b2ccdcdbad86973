//! The application server's side: is this callback request from OSS, and what does it say.
