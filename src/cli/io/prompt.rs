//! Prompt for approval.

use std::io::{self, BufRead, IsTerminal, Write};

use tokio::sync::oneshot;

use crate::cli::error::CommandError;
use crate::report::style;

/// Asks for approval. Any answer except `yes` is an error.
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
    // Read on a separate thread, so that a signal can stop the run while the prompt waits.
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = stdin.lock().read_line(&mut answer);
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
