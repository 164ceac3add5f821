//! Codex's rule files, by which commands may leave its sandbox: whether one of them lets a program out.
//!
//! The files are Starlark; of it only calls of `prefix_rule` with literal arguments are understood, which is what Codex
//! itself writes there (developers.openai.com/codex/rules).

use camino::Utf8Path;
use std::{fs, io::Read as _};

/// The folder of a Codex home with its rule files.
const FOLDER: &str = "rules";
/// How much of a file is read, in bytes: a rule takes about a hundred.
const MAX_BYTES: u64 = 1024 * 1024;

/// Whether a rule of this Codex home lets every call of `program` out of the sandbox. Blocks.
#[must_use]
pub fn let_out(codex_home: &Utf8Path, program: &str) -> bool {
    let Ok(entries) = codex_home.join(FOLDER).read_dir_utf8() else { return false };
    entries.flatten().filter(|entry| entry.path().extension() == Some("rules")).any(|entry| {
        let mut text = String::new();
        let file = fs::File::open(entry.path()).map(|file| file.take(MAX_BYTES));
        file.and_then(|mut file| file.read_to_string(&mut text)).is_ok() && text_lets_out(&text, program)
    })
}

fn text_lets_out(text: &str, program: &str) -> bool {
    let tokens = tokens(text);
    let mut calls = tokens
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| matches!(pair, [Token::Word(name), Token::Sign('(')] if name == "prefix_rule"));
    calls.any(|(at, _)| {
        let arguments = arguments(&tokens[at + 2..]);
        let of = |name: &str| arguments.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        // Codex allows where no decision is given.
        let allows = of("decision").is_none_or(|value| value == [Token::Text("allow".to_owned())]);
        allows && of("pattern").is_some_and(|pattern| matches_any_call(pattern, program))
    })
}

/// Whether a pattern has one element, and that is the program, or a list of alternatives with it.
fn matches_any_call(pattern: &[Token], program: &str) -> bool {
    let is_program = |token: &Token| matches!(token, Token::Text(text) if text == program);
    let [Token::Sign('['), element @ .., Token::Sign(']')] = pattern else { return false };
    match element {
        [one] => is_program(one),
        [Token::Sign('['), alternatives @ .., Token::Sign(']')] => {
            alternatives.iter().any(is_program) && !alternatives.contains(&Token::Sign('['))
        }
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

/// The named arguments of a call, from behind its opening parenthesis.
fn arguments(tokens: &[Token]) -> Vec<(&str, &[Token])> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        let ends_call = matches!(token, Token::Sign(')')) && depth == 0;
        if ends_call || matches!(token, Token::Sign(',')) && depth == 0 {
            if let [Token::Word(name), Token::Sign('='), value @ ..] = &tokens[start..at] {
                found.push((name.as_str(), value));
            }
            start = at + 1;
        }
        match token {
            _ if ends_call => break,
            Token::Sign('[' | '(' | '{') => depth += 1,
            Token::Sign(']' | ')' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}

fn tokens(text: &str) -> Vec<Token> {
    let (mut tokens, mut chars) = (Vec::new(), text.chars().peekable());
    while let Some(char) = chars.next() {
        match char {
            '#' => while chars.next_if(|next| *next != '\n').is_some() {},
            '"' | '\'' => {
                let mut text = String::new();
                while let Some(next) = chars.next().filter(|next| *next != char) {
                    text.push(if next == '\\' { chars.next().unwrap_or(next) } else { next });
                }
                tokens.push(Token::Text(text));
            }
            _ if char.is_alphanumeric() || char == '_' => {
                let mut word = String::from(char);
                while let Some(next) = chars.next_if(|next| next.is_alphanumeric() || *next == '_') {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
            _ if char.is_whitespace() => {}
            _ => tokens.push(Token::Sign(char)),
        }
    }
    // A comma before a closing bracket separates nothing.
    let mut kept: Vec<Token> = Vec::new();
    for token in tokens {
        if matches!(token, Token::Sign(']')) && kept.last() == Some(&Token::Sign(',')) {
            let _ = kept.pop();
        }
        kept.push(token);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: bool) {
        assert_eq!(text_lets_out(text, "conveyorctl"), expect, "{text}");
    }

    #[test]
    fn a_rule_that_allows_every_call_lets_out() {
        check(r#"prefix_rule(pattern=[["conveyorctl", "printf"]], decision="allow")"#, true);
        check("prefix_rule(\n  pattern = ['conveyorctl'],\n)\n", true);
        check(r#"prefix_rule(decision="allow", pattern=["conveyorctl",], justification="a, (b)")"#, true);
        check("x = 1\nprefix_rule(pattern=[\"git\"])\nprefix_rule(pattern=[\"conveyorctl\"])", true);
    }

    #[test]
    fn other_rules_do_not() {
        check("", false);
        check(r#"prefix_rule(pattern=["conveyorctl", "cycle"], decision="allow")"#, false);
        check(r#"prefix_rule(pattern=["conveyorctl"], decision="prompt")"#, false);
        check(r#"prefix_rule(pattern=["git", ["conveyorctl"]])"#, false);
        check(r#"# prefix_rule(pattern=["conveyorctl"])"#, false);
        check(r#"note("prefix_rule(pattern=[\"conveyorctl\"])")"#, false);
        check(r#"prefix_rule(pattern=["conveyorctl"#, false);
    }
}
