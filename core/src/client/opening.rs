//! What takes long before a call can begin, done beside callers that must not be held up: to open a file, on a
//! network's drive, and to read all data for its digest.

use tokio::sync::oneshot;

use super::exchange::without_object;
use crate::engine::{Cancel, until_cancelled};
use crate::error::{Error, ErrorKind, Result};

/// Opens on a thread of its own. Once cancelled, it is no longer waited for: nobody can end the system's own
/// waiting.
pub(super) async fn aside<T: Send + 'static>(
    cancel: Option<Cancel>,
    open: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, opened) = oneshot::channel();
    let thread = std::thread::Builder::new().name("oss-callback-open".to_owned());
    thread
        .spawn(move || drop(sender.send(open())))
        .map_err(|e| Error::new(ErrorKind::Network, format!("no thread could be started: {e}")))?;
    let opened = async {
        opened.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Bug, "opening the source panicked")))
    };
    until_cancelled(cancel.as_ref(), opened).await.map_err(without_object)
}
