//! A body that comes in pieces, slowly, and may break off. This module must not know what is in it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep};

/// A body in pieces.
pub(crate) struct Pieces {
    rest: std::vec::IntoIter<Bytes>,
    pause: Duration,
    pausing: Pin<Box<Sleep>>,
    end: Option<io::Error>,
}

impl Pieces {
    /// Sends the pieces with a pause before each; then ends, or breaks off with that error.
    pub(crate) fn new(pieces: Vec<Bytes>, pause: Duration, end: Option<io::Error>) -> Self {
        Self { rest: pieces.into_iter(), pause, pausing: Box::pin(sleep(pause)), end }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if !self.pause.is_zero() {
            ready!(self.pausing.as_mut().poll(cx));
            let next = Instant::now() + self.pause;
            self.pausing.as_mut().reset(next);
        }
        match self.rest.next() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None => Poll::Ready(self.end.take().map(Err)),
        }
    }
}
