//! What a request's process says while it works: in which form, with which headers, and the bytes.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use super::DONE;
use crate::failure::Failure;

/// What a body that is sent while it is written is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON, a line each.
    Json,
    /// The bytes of a terminal.
    Raw,
    /// Frames of two streams.
    Multiplexed,
    /// A tar.
    Tar,
    /// A tar, as `export` calls it.
    Bytes,
}

impl Form {
    pub(super) fn letter(self) -> u8 {
        match self {
            Form::Json => b'j',
            Form::Raw => b'r',
            Form::Multiplexed => b'm',
            Form::Tar => b't',
            Form::Bytes => b'b',
        }
    }

    pub(super) fn of(letter: u8) -> Option<Form> {
        let all = [Form::Json, Form::Raw, Form::Multiplexed, Form::Tar, Form::Bytes];
        all.into_iter().find(|form| form.letter() == letter)
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Raw => "application/vnd.docker.raw-stream",
            Form::Multiplexed => "application/vnd.docker.multiplexed-stream",
            Form::Tar => "application/x-tar",
            Form::Bytes => "application/octet-stream",
        }
    }
}

/// A header beyond those that every answer has: its name, in small letters, and its value.
pub(crate) type Extra = (String, String);

/// Where the process of a request writes what is sent while it writes it.
pub(crate) struct Out {
    pub(super) pipe: File,
    pub(super) begun: bool,
}

impl Out {
    /// Answers that the request can be served; the body follows, in this form.
    pub(crate) fn begin(&mut self, form: Form) -> Result<&mut File, Failure> {
        self.begin_with(form, &[])
    }

    /// The same, with more headers.
    pub(crate) fn begin_with(&mut self, form: Form, headers: &[Extra]) -> Result<&mut File, Failure> {
        self.begun = true;
        let headers = serde_json::to_vec(headers).map_err(|error| gone(error.into()))?;
        let length = u32::try_from(headers.len()).map_err(|error| gone(std::io::Error::other(error)))?;
        let head = [[DONE, form.letter()].as_slice(), &length.to_ne_bytes(), &headers].concat();
        self.pipe.write_all(&head).map_err(gone)?;
        Ok(&mut self.pipe)
    }

    /// Whether the body has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Another descriptor of the body's pipe, for whoever writes there after the beginning.
    pub(crate) fn descriptor(&self) -> Result<OwnedFd, Failure> {
        self.pipe.try_clone().map(OwnedFd::from).map_err(gone)
    }

    /// The body, begun in this form if it has not begun yet.
    pub(crate) fn begun(&mut self, form: Form) -> Result<&mut File, Failure> {
        if self.begun { Ok(&mut self.pipe) } else { self.begin(form) }
    }
}

/// What it means that a client's end cannot be written: nobody listens any more, so nobody hears this.
pub(crate) fn gone(error: std::io::Error) -> Failure {
    Failure::ours(format!("cannot answer the client: {error}"))
}
