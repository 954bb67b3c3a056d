//! Asks the person at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use tokio::sync::oneshot;

use crate::cli::error::CommandError;
use crate::report::style;

/// Asks a question that only `yes` answers; anything else, the end of input included, is a no.
pub(crate) async fn approve(question: &str) -> Result<(), CommandError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(CommandError::NotATerminal);
    }
    let bold = style::HEADING;
    let mut stderr = anstream::stderr();
    write!(stderr, "{bold}{question}{bold:#} Only 'yes' is accepted: ")
        .and_then(|()| stderr.flush())
        .map_err(CommandError::other("cannot show the prompt"))?;
    // On a thread of its own, which nobody waits for: a signal must end the run while the question stands.
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = stdin.lock().read_line(&mut answer);
        // Whoever asked may be gone.
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
