//! What is asked of OSS: the callback, its body and variables, checked and encoded.

use crate::error::Result;
use crate::options::CallbackBuilder;

/// A checked callback, ready to be sent with any number of uploads.
#[derive(Clone, Debug)]
pub struct Callback(());

impl Callback {
    /// A callback to one URL (or up to five, joined by `;`) with the default body.
    pub fn new(url: impl Into<String>) -> Result<Callback> {
        Callback::builder(url).build()
    }
    /// A callback to be filled in; `url` is called for each further URL, up to five.
    pub fn builder(_url: impl Into<String>) -> CallbackBuilder {
        todo!()
    }
    /// Base64 of the callback's JSON: the value of `x-oss-callback` or of the query's `callback`.
    pub fn encoded(&self) -> &str {
        todo!()
    }
    /// Base64 of the variables' JSON, where there are any: `x-oss-callback-var` or `callback-var`.
    pub fn encoded_vars(&self) -> Option<&str> {
        todo!()
    }
}

impl CallbackBuilder {
    /// Adds a URL that is tried when those before it failed.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }
    /// Checks all and encodes it.
    pub fn build(self) -> Result<Callback> {
        todo!()
    }
}
