//! A crash: a future that is dropped at its n-th poll.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Runs a future for so many polls, and drops it at the next one. Before each poll, `between` may change the world, as
/// other people do while we wait.
pub struct Crash<F, B> {
    inner: Option<Pin<Box<F>>>,
    polls_left: u64,
    between: B,
}

impl<F: Future, B: FnMut()> Crash<F, B> {
    /// Runs `inner` for `polls` polls.
    pub fn after(polls: u64, inner: F, between: B) -> Self {
        Self { inner: Some(Box::pin(inner)), polls_left: polls, between }
    }
}

impl<F: Future, B: FnMut() + Unpin> Future for Crash<F, B> {
    /// `None`: it crashed.
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(inner) = this.inner.as_mut().filter(|_| this.polls_left > 0) else {
            this.inner = None;
            return Poll::Ready(None);
        };
        this.polls_left -= 1;
        (this.between)();
        match inner.as_mut().poll(context) {
            Poll::Ready(output) => {
                this.inner = None;
                Poll::Ready(Some(output))
            }
            Poll::Pending if this.polls_left == 0 => {
                // Dropped where it stands, as a process that is killed.
                this.inner = None;
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
