//! What the emulator answers when it refuses a request.

/// An error as OSS words it: status, code, message, EC and further members of the XML body.
#[derive(Clone, Debug)]
pub(crate) struct OssError {
    /// HTTP status.
    pub status: u16,
    /// OSS's code, such as `InvalidArgument`.
    pub code: String,
    /// OSS's message.
    pub message: String,
    /// OSS's fine-grained number, such as `0007-00000203`.
    pub ec: Option<String>,
    /// Further XML members, in order, such as `ArgumentName`.
    pub members: Vec<(String, String)>,
}
