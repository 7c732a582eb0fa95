//! The socket on which a command may tell of its progress, for programs whose output is taken by other things.

use super::command::send_lines;
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{io, os::unix::net::UnixListener, path::Path, process::Child, sync::mpsc::Sender, thread};
use tempfile::NamedTempFile;

/// A socket of one attempt, which goes with it: what is written there can be nobody else's.
pub(super) struct Events(NamedTempFile<UnixListener>);

impl Events {
    /// Listens at a path of its own in `folder`.
    ///
    /// # Errors
    /// When the folder can't be written, or its path is too long for a socket's, which may have 108 bytes.
    pub fn listen(folder: &Path) -> io::Result<Self> {
        let listener = tempfile::Builder::new().prefix("").make_in(folder, |path| UnixListener::bind(path))?;
        listener.as_file().set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Sends the lines of everyone who connects, until the command is over: whoever connected before that is heard.
    ///
    /// # Errors
    /// When the system refuses a thread or a handle.
    pub fn serve(&self, command: &Child, sender: Sender<String>) -> io::Result<()> {
        let listener = self.0.as_file().try_clone()?;
        let command = pidfd_open(Pid::from_child(command), PidfdFlags::empty())?;
        thread::Builder::new().spawn(move || {
            let mut is_over = false;
            while !is_over {
                let mut waited = [PollFd::new(&listener, PollFlags::IN), PollFd::new(&command, PollFlags::IN)];
                match poll(&mut waited, None) {
                    Ok(_) => is_over = !waited[1].revents().is_empty(),
                    Err(Errno::INTR) => continue,
                    Err(_) => return,
                }
                while let Ok((stream, _)) = listener.accept() {
                    let sender = sender.clone();
                    // Where there are no more threads, the connection is closed, which its program notices.
                    let _ = thread::Builder::new().spawn(move || send_lines(stream, &sender));
                }
            }
        })?;
        Ok(())
    }
}
