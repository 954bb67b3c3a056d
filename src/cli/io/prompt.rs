//! Prompt for approval.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, IsTerminal};

use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::oneshot;

use crate::cli::error::CommandError;
use crate::cli::io::stream::write_text;
use crate::report::style;

/// The terminal of the process, even if its streams are redirected.
const TERMINAL: &str = "/dev/tty";

/// Asks for approval on the terminal. Any answer except `yes` is an error.
pub(crate) async fn approve(question: &str) -> Result<(), CommandError> {
    if !io::stdin().is_terminal() {
        return Err(CommandError::NotATerminal);
    }
    let bold = style::HEADING;
    let question = format!("{bold}{question}{bold:#} Only 'yes' is accepted: ");
    let asked = || {
        let terminal = OpenOptions::new().read(true).write(true).open(TERMINAL)?;
        // An answer typed earlier is not an answer to this question.
        tcflush(&terminal, QueueSelector::IFlush)?;
        write_text(&terminal, &question)?;
        Ok::<_, io::Error>(terminal)
    };
    let context = format!("cannot ask for approval on {TERMINAL}");
    let terminal = asked().map_err(CommandError::other(context))?;
    // Read on a separate thread, so that a signal can stop the run while the prompt waits.
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = BufReader::new(terminal).read_line(&mut answer);
        // The receiver may have been dropped.
        let _ = tell.send(read.map(|_| answer));
    });
    let answer = match told.await {
        Ok(answer) => answer.map_err(CommandError::other("cannot read the answer"))?,
        Err(_) => return Err(CommandError::Declined),
    };
    if answer.trim() == "yes" {
        Ok(())
    } else {
        Err(CommandError::Declined)
    }
}
