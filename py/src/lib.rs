//! The Python face: turns Python's values into the core's and the core's outcomes into Python's.
//!
//! It knows no rule of OSS and no default. Signatures with the list of options, docstrings and the
//! exceptions are Python (`python/oss_callback/`, partly generated from `api/*.toml`); here is what they
//! call.
#![forbid(unsafe_code)]
// Keyword arguments of Python arrive as so many arguments here.
#![allow(clippy::too_many_arguments)]

mod call;
mod callback;
mod client;
mod convert;
mod credentials;
mod errors;
mod gate;
mod handles;
mod mailbox;
mod options;
mod progress;
mod receive;
mod reply;
mod signer;
mod source;
mod usercode;

use pyo3::prelude::*;

/// Machinery of `oss_callback`; import that instead.
#[pymodule(gil_used = false, module = "oss_callback")]
mod _native {
    #[pymodule_export]
    use crate::call::{Call, Cancel};
    #[pymodule_export]
    use crate::callback::CallbackBase;
    #[pymodule_export]
    use crate::client::NativeClient;
    #[pymodule_export]
    use crate::credentials::{Credentials, Later};
    #[pymodule_export]
    use crate::handles::live_handles;
    #[pymodule_export]
    use crate::mailbox::Mailbox;
    #[pymodule_export]
    use crate::progress::Progress;
    #[pymodule_export]
    use crate::reply::CallbackReply;
    #[pymodule_export]
    use crate::signer::{PresignedRequest, Signer};

    /// The application server's side.
    #[pymodule(gil_used = false)]
    mod receive {
        #[pymodule_export]
        use crate::receive::{
            CallbackEvent, Confirmation, Field, ImageInfo, Reply, Seal, Verifier, failure, refusal, reply,
        };
    }

    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        gate::install(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // An extension is no package, in which an import would look for its submodules.
        let modules = module.py().import("sys")?.getattr("modules")?;
        modules.set_item("oss_callback._native.receive", module.getattr("receive")?)
    }
}
