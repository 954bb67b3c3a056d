//! Asks the person at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::cli::run::ending::Error;
use crate::report::style;

/// Asks a question that only `yes` answers; anything else, the end of input included, is a no.
pub(crate) fn approve(question: &str) -> Result<(), Error> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Error::NotATerminal);
    }
    let bold = style::HEADING;
    let mut stderr = anstream::stderr();
    write!(stderr, "{bold}{question}{bold:#} Only 'yes' is accepted: ")
        .and_then(|()| stderr.flush())
        .map_err(Error::other("the question can't be shown"))?;
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .map_err(Error::other("the answer can't be read"))?;
    if answer.trim() == "yes" {
        Ok(())
    } else {
        Err(Error::Declined)
    }
}
