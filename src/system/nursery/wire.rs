//! What is said over the socket: a length, a kind, and texts with their lengths.
//!
//! Invariant: both ends are the same program, so there is no version; what cannot be read ends the connection.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::system::Ending;

/// No frame is larger: the arguments and variables of a program are a few MiB at most.
const LARGEST: usize = 16 << 20;

/// What we ask of the nursery.
pub enum Request {
    /// Start a program; its three ends of pipes come with the frame.
    Spawn(Order),
    /// End a group.
    End(u32, Ending),
}

/// A program to start, and everything it gets.
pub struct Order {
    pub id: u32,
    pub argv: Vec<Zeroizing<Vec<u8>>>,
    pub env: Vec<(Vec<u8>, Zeroizing<Vec<u8>>)>,
    pub cwd: Option<Vec<u8>>,
}

/// What the nursery tells us.
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    /// It runs.
    Started { id: u32, pid: u32 },
    /// It does not: the system's number for the reason (0 if there is none), and a sentence.
    Refused { id: u32, errno: i32, why: String },
    /// The program itself has ended, with this raw wait status.
    Exited { id: u32, status: i32 },
}

impl Request {
    /// As a frame.
    pub fn frame(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Spawn(order) => {
                let texts = order.argv.iter().map(|text| text.len() + 4);
                let pairs = order.env.iter().map(|(name, value)| name.len() + value.len() + 8);
                let room = texts.chain(pairs).sum::<usize>() + 64;
                // With enough room from the start no copy is left behind by growing.
                let mut frame = Frame::new(1, room);
                frame.number(order.id);
                frame.count(order.argv.len());
                order.argv.iter().for_each(|text| frame.text(text));
                frame.count(order.env.len());
                for (name, value) in &order.env {
                    frame.text(name);
                    frame.text(value);
                }
                frame.count(usize::from(order.cwd.is_some()));
                order.cwd.iter().for_each(|dir| frame.text(dir));
                frame.end()
            }
            Self::End(id, ending) => {
                let mut frame = Frame::new(if *ending == Ending::Asked { 2 } else { 3 }, 8);
                frame.number(*id);
                frame.end()
            }
        }
    }

    /// From what stood in a frame.
    pub fn read(frame: &[u8]) -> io::Result<Self> {
        let (kind, mut rest) = Rest::of(frame)?;
        let id = rest.number()?;
        Ok(match kind {
            1 => {
                let argv = (0..rest.number()?).map(|_| rest.text()).collect::<io::Result<_>>()?;
                let pair = |rest: &mut Rest<'_>| Ok((rest.text()?.to_vec(), rest.text()?));
                let env = (0..rest.number()?).map(|_| pair(&mut rest)).collect::<io::Result<_>>()?;
                let cwd = if rest.number()? == 1 { Some(rest.text()?.to_vec()) } else { None };
                Self::Spawn(Order { id, argv, env, cwd })
            }
            2 => Self::End(id, Ending::Asked),
            3 => Self::End(id, Ending::Forced),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

impl Notice {
    /// As a frame.
    pub fn frame(&self) -> Zeroizing<Vec<u8>> {
        let mut frame;
        match self {
            Self::Started { id, pid } => {
                frame = Frame::new(1, 16);
                frame.number(*id);
                frame.number(*pid);
            }
            Self::Refused { id, errno, why } => {
                frame = Frame::new(2, why.len() + 16);
                frame.number(*id);
                frame.number(errno.cast_unsigned());
                frame.text(why.as_bytes());
            }
            Self::Exited { id, status } => {
                frame = Frame::new(3, 16);
                frame.number(*id);
                frame.number(status.cast_unsigned());
            }
        }
        frame.end()
    }

    /// From what stood in a frame.
    pub fn read(frame: &[u8]) -> io::Result<Self> {
        let (kind, mut rest) = Rest::of(frame)?;
        let id = rest.number()?;
        let number = rest.number()?;
        Ok(match kind {
            1 => Self::Started { id, pid: number },
            2 => Self::Refused {
                id,
                errno: number.cast_signed(),
                why: String::from_utf8_lossy(&rest.text()?).into_owned(),
            },
            3 => Self::Exited { id, status: number.cast_signed() },
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

/// Takes the first whole frame out of what was received; none if there is no whole one yet.
///
/// # Errors
/// When what came is no frame of ours.
pub fn take_frame(received: &mut Zeroizing<Vec<u8>>) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(length) = received.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length > LARGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if received.len() < 4 + length {
        return Ok(None);
    }
    let frame = Zeroizing::new(received[4..4 + length].to_vec());
    *received = Zeroizing::new(received[4 + length..].to_vec());
    Ok(Some(frame))
}

struct Frame(Zeroizing<Vec<u8>>);

impl Frame {
    fn new(kind: u8, room: usize) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(room + 5));
        bytes.extend_from_slice(&[0, 0, 0, 0, kind]);
        Self(bytes)
    }

    fn number(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// What is too long for a length ends up as a frame that nobody reads.
    fn count(&mut self, count: usize) {
        self.number(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn text(&mut self, text: &[u8]) {
        self.count(text.len());
        self.0.extend_from_slice(text);
    }

    fn end(mut self) -> Zeroizing<Vec<u8>> {
        let length = u32::try_from(self.0.len() - 4).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_le_bytes());
        self.0
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn of(frame: &'a [u8]) -> io::Result<(u8, Self)> {
        let (kind, rest) = frame.split_first().ok_or(io::ErrorKind::InvalidData)?;
        Ok((*kind, Self(rest)))
    }

    fn number(&mut self) -> io::Result<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>().ok_or(io::ErrorKind::InvalidData)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*number))
    }

    fn text(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        let length = self.number()? as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or(io::ErrorKind::InvalidData)?;
        self.0 = rest;
        Ok(Zeroizing::new(text.to_vec()))
    }
}

/// A directory or a name as bytes.
pub fn bytes_of(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(frame: &[u8]) -> Vec<u8> {
        let mut received = Zeroizing::new(frame.to_vec());
        take_frame(&mut received).expect("a frame").expect("a whole one").to_vec()
    }

    #[test]
    fn what_is_said_is_what_is_heard() {
        let text = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
        let order = Order {
            id: 7,
            argv: vec![text("sh"), text("-c"), text("")],
            env: vec![(b"KEY".to_vec(), text("a=b\nc"))],
            cwd: Some(b"/tmp".to_vec()),
        };
        let frame = Request::Spawn(order).frame();
        let Ok(Request::Spawn(heard)) = Request::read(&body(&frame)) else { panic!("a spawn") };
        assert_eq!(heard.argv, [text("sh"), text("-c"), text("")]);
        assert_eq!(heard.env, [(b"KEY".to_vec(), text("a=b\nc"))]);
        assert_eq!((heard.id, heard.cwd), (7, Some(b"/tmp".to_vec())));
        let end = Request::End(3, Ending::Forced).frame();
        assert!(matches!(Request::read(&body(&end)), Ok(Request::End(3, Ending::Forced))));
        for notice in [
            Notice::Started { id: 1, pid: 4_000_000 },
            Notice::Refused { id: 2, errno: 2, why: "not found".to_owned() },
            Notice::Exited { id: 3, status: -1 },
        ] {
            assert_eq!(Notice::read(&body(&notice.frame())).expect("read"), notice);
        }
    }

    #[test]
    fn a_frame_is_taken_once_it_is_whole() {
        let frames = [Request::End(1, Ending::Asked).frame(), Request::End(2, Ending::Asked).frame()];
        let both: Vec<u8> = frames.iter().flat_map(|frame| frame.iter().copied()).collect();
        let mut received = Zeroizing::new(Vec::new());
        let mut heard = Vec::new();
        for byte in both {
            received.push(byte);
            while let Some(frame) = take_frame(&mut received).expect("no damage") {
                heard.push(frame.to_vec());
            }
        }
        assert_eq!(heard.len(), 2);
        assert!(received.is_empty());
        assert!(Request::read(&heard[0][..3]).is_err(), "cut off");
        assert!(take_frame(&mut Zeroizing::new(vec![0xff; 8])).is_err(), "far too long");
    }
}
