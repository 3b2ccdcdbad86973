//! State of which each process has its own. A fork copies memory, but no threads, and what those were about to do
//! is never done: the child must neither wait for the parent's state nor take it apart.

use std::sync::OnceLock;

/// A value for each process in which it is asked for. A forked child finds its own process id missing, goes on to
/// a value of its own, and leaves the parent's alone.
pub(crate) struct PerProcess<T> {
    process: u32,
    value: T,
    next: OnceLock<Box<PerProcess<T>>>,
}

impl<T> PerProcess<T> {
    /// That of this process.
    pub fn new(value: T) -> PerProcess<T> {
        PerProcess { process: std::process::id(), value, next: OnceLock::new() }
    }

    /// This process's value; `inherit` makes it from the parent's, whose locks may be held for ever.
    pub fn current(&self, inherit: impl Fn(&T) -> T) -> &T {
        let process = std::process::id();
        let mut found = self;
        while found.process != process {
            found = found.next.get_or_init(|| Box::new(PerProcess::new(inherit(&found.value))));
        }
        &found.value
    }

    /// The values of other processes, before this one is dropped.
    pub fn of_others(&mut self, mut each: impl FnMut(&mut T)) {
        let process = std::process::id();
        let mut next = Some(self);
        while let Some(found) = next {
            if found.process != process {
                each(&mut found.value);
            }
            next = found.next.get_mut().map(|next| &mut **next);
        }
    }

    /// As if this were a child that has just been forked.
    #[cfg(test)]
    pub fn fork(&mut self) {
        self.process = self.process.wrapping_add(1);
        self.next = OnceLock::new();
    }

    /// The value that was there before any fork.
    #[cfg(test)]
    pub fn first(&self) -> &T {
        &self.value
    }
}
