use std::io::{self, IsTerminal as _, Write as _};

/// The two streams, and how they may look.
pub struct Out {
    /// Whether only results and errors are printed.
    pub quiet: bool,
    /// Whether more is printed.
    pub verbose: bool,
    color_out: bool,
    color_err: bool,
    /// The first failed write; the reader went away, or the disk is full.
    broken: Option<io::Error>,
}

/// The few looks in use. Never the only carrier of a meaning.
#[derive(Clone, Copy)]
pub enum Look {
    /// Added.
    Green,
    /// Removed, or an error.
    Red,
    /// Changed, or a warning.
    Yellow,
    /// Places and headings.
    Bold,
    /// Less important.
    Dim,
}

impl Out {
    pub fn new(quiet: bool, verbose: bool, no_color: bool) -> Self {
        Self {
            quiet,
            verbose,
            color_out: !no_color && io::stdout().is_terminal(),
            color_err: !no_color && io::stderr().is_terminal(),
            broken: None,
        }
    }

    /// A line of data.
    pub fn data(&mut self, line: impl AsRef<str>) {
        if self.broken.is_none()
            && let Err(error) = writeln!(io::stdout().lock(), "{}", line.as_ref())
        {
            self.broken = Some(error);
        }
    }

    /// Data without a line end of its own.
    pub fn raw(&mut self, text: &str) {
        if self.broken.is_none()
            && let Err(error) = io::stdout().lock().write_all(text.as_bytes())
        {
            self.broken = Some(error);
        }
    }

    /// A remark; silent with `--quiet`.
    pub fn say(&mut self, line: impl AsRef<str>) {
        if !self.quiet {
            self.complain(line);
        }
    }

    /// Something that must be read.
    pub fn complain(&self, line: impl AsRef<str>) {
        // If standard error is gone there is nobody left to tell.
        let _ = writeln!(io::stderr().lock(), "{}", line.as_ref());
    }

    /// Text in a look, on a terminal.
    pub fn look(&self, look: Look, text: &str) -> String {
        if self.color_out { paint(look, text) } else { text.to_owned() }
    }

    /// The same for standard error.
    pub fn colors_errors(&self) -> bool {
        self.color_err
    }

    /// Whether nobody reads what is written to standard output.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether standard output could not be written, other than by a reader who had enough.
    pub fn failed(&mut self) -> Option<io::Error> {
        if let Err(error) = io::stdout().lock().flush() {
            self.broken.get_or_insert(error);
        }
        self.broken.take().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }
}

fn paint(look: Look, text: &str) -> String {
    let code = match look {
        Look::Green => "32",
        Look::Red => "31",
        Look::Yellow => "33",
        Look::Bold => "1",
        Look::Dim => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}
