//! A small HTTP server in this process that answers as a test says, to make what real servers seldom do.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use serde_json::Value;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The method of the message, or of HTTP where there is no message.
    pub fn what(&self) -> String {
        self.json()["method"].as_str().map_or_else(|| self.method.clone(), str::to_owned)
    }
}

/// What is answered.
pub struct Answer {
    status: u16,
    headers: String,
    body: Body,
}

enum Body {
    Whole(Vec<u8>),
    Pieces(mpsc::UnboundedReceiver<String>),
}

/// Cuts the connection in the middle of a stream.
pub const CUT: &str = "\0cut";

impl Answer {
    pub fn status(status: u16) -> Self {
        Self { status, headers: String::new(), body: Body::Whole(Vec::new()) }
    }

    pub fn json(body: impl Into<String>) -> Self {
        Self::status(200).with("Content-Type", "application/json").body(body)
    }

    pub fn body(self, body: impl Into<String>) -> Self {
        Self { body: Body::Whole(body.into().into_bytes()), ..self }
    }

    pub fn with(self, name: &str, value: &str) -> Self {
        Self { headers: format!("{}{name}: {value}\r\n", self.headers), ..self }
    }

    /// A stream of events that ends with these.
    pub fn events(events: &[&str]) -> Self {
        let (send, answer) = Self::stream();
        for event in events {
            send.send((*event).to_owned()).expect("kept");
        }
        answer
    }

    /// A stream that goes on until the sender is dropped.
    pub fn stream() -> (mpsc::UnboundedSender<String>, Self) {
        let (send, pieces) = mpsc::unbounded_channel();
        let answer = Self { body: Body::Pieces(pieces), ..Self::status(200) };
        (send, answer.with("Content-Type", "text/event-stream"))
    }
}

/// A running server; stops when dropped.
pub struct Fake {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    gone: mpsc::UnboundedReceiver<String>,
    serving: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Fake {
    /// Answers each request by asking `answer`.
    pub async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (say_gone, gone) = mpsc::unbounded_channel();
        let answer = Arc::new(answer);
        let serving = tokio::spawn({
            let asked = Arc::clone(&asked);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (asked, answer, say_gone) =
                        (Arc::clone(&asked), Arc::clone(&answer), say_gone.clone());
                    tokio::spawn(async move {
                        // A client that hangs up is its own affair.
                        let _ = serve(stream, &asked, &*answer, &say_gone).await;
                    });
                }
            }
        });
        Self { port, asked, gone, serving }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Everything asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }

    /// The methods asked so far, in order.
    pub fn methods(&self) -> Vec<String> {
        self.asked().iter().map(Asked::what).collect()
    }

    /// Waits until a client hangs up on a stream; returns what the stream was for.
    pub async fn hung_up(&mut self) -> String {
        self.gone.recv().await.expect("it still runs")
    }
}

async fn serve(
    stream: TcpStream,
    asked: &Mutex<Vec<Asked>>,
    answer: &(dyn Fn(&Asked) -> Answer + Send + Sync),
    say_gone: &mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await? {
        let Answer { status, headers, body } = answer(&request);
        let what = request.what();
        asked.lock().expect("not poisoned").push(request);
        let head = format!("HTTP/1.1 {status} Said\r\n{headers}");
        match body {
            Body::Whole(body) => {
                stream.write_all(format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes()).await?;
                stream.write_all(&body).await?;
            }
            Body::Pieces(mut pieces) => {
                stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await?;
                loop {
                    let piece = tokio::select! {
                        piece = pieces.recv() => piece,
                        read = stream.fill_buf() => {
                            if read.is_ok_and(<[u8]>::is_empty) {
                                let _ = say_gone.send(what);
                                return Ok(());
                            }
                            continue;
                        }
                    };
                    match piece.as_deref() {
                        Some(CUT) => return Ok(()),
                        Some(piece) => {
                            stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await?;
                        }
                        None => {
                            stream.write_all(b"0\r\n\r\n").await?;
                            break;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Asked>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Asked { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() }))
}
