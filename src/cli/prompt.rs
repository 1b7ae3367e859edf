//! Asking a person: for a password, or whether something is wanted. The only door to `rpassword`.

use std::io::{self, IsTerminal, Write};

use zeroize::Zeroizing;

use crate::app::AppError;
use crate::cli::error::CliError;
use crate::vault::VaultError;

/// Whether somebody could see a question and answer it.
pub fn is_possible() -> bool {
    io::stderr().is_terminal()
}

/// Asks once.
pub fn password(question: &str) -> Result<Zeroizing<String>, CliError> {
    let answer =
        rpassword::prompt_password(format!("{question}: ")).map(Zeroizing::new).map_err(|error| {
            match error.kind() {
                io::ErrorKind::Interrupted => CliError::from(VaultError::Interrupted),
                _ => CliError::File { action: "ask", what: "for a password on the terminal".to_owned(), source: error },
            }
        })?;
    if answer.is_empty() {
        return Err(AppError::EmptyPassword { origin: "the terminal".to_owned() }.into());
    }
    Ok(answer)
}

/// Asks whether something is wanted; anything but a yes is a no.
pub fn yes(question: &str) -> Result<bool, CliError> {
    let failed = |source| CliError::File { action: "ask", what: "on the terminal".to_owned(), source };
    let mut terminal = io::stderr().lock();
    write!(terminal, "{question}? [y/N] ").and_then(|()| terminal.flush()).map_err(failed)?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer).map_err(failed)? == 0 {
        // Nobody is there to answer, and silence is no word.
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Asks twice, because nobody sees what is typed.
pub fn new_password(question: &str) -> Result<Zeroizing<String>, CliError> {
    let first = password(question)?;
    let second = password("the same again")?;
    if *first != *second {
        return Err(CliError::usage("the two passwords differ", "run the command again and type the same twice"));
    }
    Ok(first)
}
