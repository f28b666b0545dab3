//! What goes back over HTTP: a whole text, or a stream of events that ends with an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// How long a stream may be silent before a comment finds out whether there is still somebody.
const QUIET: Duration = Duration::from_secs(15);

/// The body of a response.
pub enum Page {
    /// All of it; taken once.
    Whole(Option<Bytes>),
    /// Events as they come.
    Events(Box<Events>),
}

/// A stream of events.
pub struct Events {
    source: Box<dyn Source>,
    first: Option<Bytes>,
    quiet: Pin<Box<Sleep>>,
}

/// Where events come from.
pub trait Source: Send {
    /// The next message; none at the end.
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>>;
}

/// A message of a stream.
pub struct Message {
    /// As JSON on one line.
    pub text: String,
    /// Where to resume after it.
    pub id: Option<String>,
}

impl Page {
    /// A whole text.
    pub fn of(text: impl Into<Bytes>) -> Self {
        Self::Whole(Some(text.into()))
    }

    /// Nothing.
    pub fn empty() -> Self {
        Self::Whole(None)
    }

    /// A stream that begins with these messages.
    pub fn stream(first: Vec<Message>, source: Box<dyn Source>) -> Self {
        let mut bytes = Vec::new();
        first.iter().for_each(|message| write(&mut bytes, message));
        let first = (!bytes.is_empty()).then(|| Bytes::from(bytes));
        Self::Events(Box::new(Events { source, first, quiet: Box::pin(tokio::time::sleep(QUIET)) }))
    }
}

fn write(bytes: &mut Vec<u8>, message: &Message) {
    if let Some(id) = &message.id {
        bytes.extend_from_slice(b"id: ");
        bytes.extend_from_slice(id.as_bytes());
        bytes.push(b'\n');
    }
    if message.text.is_empty() {
        // Where to resume, before there is anything.
        bytes.extend_from_slice(b"data: \n\n");
        return;
    }
    bytes.extend_from_slice(b"event: message\ndata: ");
    bytes.extend_from_slice(message.text.as_bytes());
    bytes.extend_from_slice(b"\n\n");
}

impl Body for Page {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Events(events) => events.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

impl Events {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match self.source.next(context) {
            Poll::Ready(Some(message)) => {
                self.quiet.as_mut().reset(now() + QUIET);
                let mut bytes = Vec::with_capacity(message.text.len() + 32);
                write(&mut bytes, &message);
                Poll::Ready(Some(Ok(Frame::data(bytes.into()))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match self.quiet.as_mut().poll(context) {
                Poll::Ready(()) => {
                    self.quiet.as_mut().reset(now() + QUIET);
                    // So that the new deadline is waited for.
                    context.waker().wake_by_ref();
                    Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b": still here\n\n")))))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

/// Tokio's own clock, which its timers go by.
fn now() -> Instant {
    tokio::time::sleep(Duration::ZERO).deadline()
}
