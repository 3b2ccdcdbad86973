//! Tells a program that waits for descriptors that something has come: the way back from
//! [`Client::start`](crate::Client::start) into an event loop.

#[cfg(unix)]
pub use self::unix::Bell;
#[cfg(not(unix))]
pub use self::without::Bell;

#[cfg(unix)]
mod unix {
    use std::io::{Read, Result, Write};
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
    use std::os::unix::net::UnixStream;

    /// Something to be waited for by `poll`, `epoll` or an event loop: a descriptor that can be read from
    /// while it rings. Whoever guards what it tells of guards the bell by the same lock.
    ///
    /// Where there are no such descriptors (Windows), [`Bell::new`] fails with
    /// [`Unsupported`](std::io::ErrorKind::Unsupported).
    #[derive(Debug)]
    pub struct Bell {
        heard: UnixStream,
        rung: UnixStream,
        rings: bool,
    }

    impl Bell {
        /// A bell that does not ring yet.
        ///
        /// # Errors
        /// If the system has no descriptors left.
        pub fn new() -> Result<Bell> {
            let (heard, rung) = UnixStream::pair()?;
            heard.set_nonblocking(true)?;
            rung.set_nonblocking(true)?;
            Ok(Bell { heard, rung, rings: false })
        }

        /// What to wait for. It is the bell's: neither to be read from nor to be closed.
        pub fn descriptor(&self) -> i32 {
            self.heard.as_raw_fd()
        }

        /// Has it ring until it is hushed. No system call if it does already.
        pub fn ring(&mut self) {
            if !self.rings {
                self.rings = self.rung.write(&[1]).is_ok();
            }
        }

        /// Ends its ringing.
        pub fn hush(&mut self) {
            if self.rings {
                // The one byte is there.
                let _ = self.heard.read(&mut [0; 8]);
                self.rings = false;
            }
        }

        /// Whether it rings.
        pub fn rings(&self) -> bool {
            self.rings
        }
    }

    impl AsFd for Bell {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.heard.as_fd()
        }
    }
}

#[cfg(not(unix))]
mod without {
    use std::io::{ErrorKind, Result};

    /// There is none on this system.
    #[derive(Debug)]
    pub enum Bell {}

    #[allow(missing_docs)]
    impl Bell {
        pub fn new() -> Result<Bell> {
            Err(ErrorKind::Unsupported.into())
        }

        pub fn descriptor(&self) -> i32 {
            match *self {}
        }

        pub fn ring(&mut self) {}

        pub fn hush(&mut self) {}

        pub fn rings(&self) -> bool {
            match *self {}
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn its_descriptor_can_be_read_from_while_it_rings() {
        let mut bell = Bell::new().unwrap();
        let look = |bell: &Bell| {
            let mut byte = [std::mem::MaybeUninit::uninit()];
            socket2::SockRef::from(bell).peek(&mut byte).is_ok()
        };
        assert!(!look(&bell));
        for _ in 0..3 {
            bell.ring();
            bell.ring();
            assert!(look(&bell) && bell.rings());
            bell.hush();
            assert!(!look(&bell) && !bell.rings());
            bell.hush();
        }
    }
}
