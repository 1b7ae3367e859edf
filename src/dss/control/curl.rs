//! Questions over TLS, asked by the system's `curl`: every TLS library for Rust brings a second set of cryptography in C
//! or assembler, and `deny.toml` says no to that. The key goes through a pipe, never through an argument that `ps` shows.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::dss::control::http::{ANSWER_BYTES_MAX, Answer, Question};
use crate::sys::process::without_secrets;

/// Digits of the status that curl writes behind the answer, and the line feed before them.
const STATUS_BYTES: usize = 4;

/// Asks; the error says why there is no answer.
pub fn get(question: &Question<'_>) -> Result<Answer, String> {
    let config = config(question)?;
    let mut child = command().spawn().map_err(|error| format!("https needs the program curl: {error}"))?;
    // Dropped at once: curl reads its configuration to the end. If it has gone already, its exit says why.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(config.as_bytes());
    }
    let mut said = Vec::new();
    let read =
        child.stdout.take().map(|out| out.take(ANSWER_BYTES_MAX + STATUS_BYTES as u64 + 1).read_to_end(&mut said));
    let too_long = said.len() as u64 > ANSWER_BYTES_MAX + STATUS_BYTES as u64;
    if too_long {
        // It may have ended by itself.
        let _ = child.kill();
    }
    let ended = child.wait_with_output().map_err(|error| error.to_string())?;
    match read {
        _ if too_long => Err(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes")),
        Some(Err(error)) => Err(error.to_string()),
        _ if !ended.status.success() => Err(String::from_utf8_lossy(&ended.stderr).trim().to_owned()),
        _ => answer(said),
    }
}

fn command() -> Command {
    let mut command = Command::new("curl");
    // `--disable` must come first: settings of the account are not ours.
    command.args(["--disable", "--config", "-"]).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    without_secrets(&mut command);
    command
}

/// What curl is told on its standard input.
fn config(question: &Question<'_>) -> Result<Zeroizing<String>, String> {
    // Room for all of it from the start: growing would leave unwiped copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(16 << 10));
    text.push_str(
        "silent\nshow-error\ngloboff\nproto = \"=https\"\nnoproxy = \"*\"\nwrite-out = \"\\n%{http_code}\"\n",
    );
    let mut put = |name: &str, before: &str, word: &str| {
        for part in [name, " = \"", before, &escaped(word), "\"\n"] {
            text.push_str(part);
        }
    };
    put("max-time", "", &format!("{:.1}", question.limit.as_secs_f64().max(0.1)));
    put("url", "", question.url);
    if let Some(bearer) = question.bearer {
        put("header", "Authorization: Bearer ", bearer);
    }
    if let Some(ca) = question.ca {
        put("cacert", "", ca.to_str().ok_or("the path of the CA file must be UTF-8")?);
    }
    Ok(text)
}

/// As curl reads quoted words of its configuration (curl(1), `--config`).
fn escaped(word: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(word.len() * 2));
    for sign in word.chars() {
        match sign {
            '\\' | '"' => text.extend(['\\', sign]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            other => text.push(other),
        }
    }
    text
}

fn answer(mut said: Vec<u8>) -> Result<Answer, String> {
    let body_bytes = said.len().saturating_sub(STATUS_BYTES);
    let tail = said.split_off(body_bytes);
    let status = std::str::from_utf8(&tail).ok().and_then(|tail| tail.strip_prefix('\n')?.parse().ok());
    match status {
        Some(status) if status > 0 => Ok(Answer { status, body: said }),
        _ => Err("curl gave no status".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_key_stands_in_what_curl_reads_and_not_in_its_arguments() {
        let ca = Path::new("/etc/\"my\" ca.pem");
        let limit = Duration::from_millis(2500);
        let question = Question { url: "https://dss/x", bearer: Some("s3cr\\et"), ca: Some(ca), limit };
        let config = config(&question).unwrap();
        assert!(config.contains("header = \"Authorization: Bearer s3cr\\\\et\"\n"), "{}", *config);
        assert!(config.contains("cacert = \"/etc/\\\"my\\\" ca.pem\"\n") && config.contains("max-time = \"2.5\"\n"));
        let command = command();
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["--disable", "--config", "-"]);
    }

    #[test]
    fn the_status_is_parted_from_the_answer() {
        let answer = answer(b"{\"a\": 1}\n\n200".to_vec()).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{\"a\": 1}\n"[..]));
        for bad in [&b""[..], b"\n000", b"200", b"{}\n20x"] {
            assert!(super::answer(bad.to_vec()).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
