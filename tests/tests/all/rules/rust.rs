//! Reads Rust files as far as the rules need it: the modules that they declare, and the paths and texts that
//! they contain.
//!
//! A file is read as tokens and not as lines, so that comments and texts are never mistaken for code, and the
//! bodies of macros are read like everything else.

#![expect(clippy::expect_used, reason = "a file that is no Rust does not compile either")]

use std::iter::Peekable;

use camino::{Utf8Path, Utf8PathBuf};
use conveyor_tests::harness::workspace_root;
use proc_macro2::token_stream::IntoIter;
use proc_macro2::{Delimiter, Group, Ident, Literal, TokenStream, TokenTree};

use super::project::read;

/// A path from the root of its crate, as `crate::` and `super::` lead to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The line of its first segment.
    pub(super) line: usize,
    /// `*` for all that is there. Empty for the root itself.
    pub(super) segments: Vec<String>,
}

/// The contents of a module, including those of inner modules.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// The modules that have files of their own, by their paths from this file's module.
    pub(super) declared: Vec<Vec<String>>,
    pub(super) named: Vec<Named>,
    /// String literals with their lines. Escapes are left as they are written.
    pub(super) texts: Vec<(usize, String)>,
}

impl Module {
    /// Reads a file whose module is at this path from the root of its crate.
    pub(super) fn read(text: &str, path: &[String]) -> Self {
        Self::of(text.parse().expect("it compiles"), path)
    }

    /// Reads a file without what is compiled only for tests and fuzzing.
    pub(super) fn read_production(text: &str, path: &[String]) -> Self {
        Self::of(without_tests(text.parse().expect("it compiles")), path)
    }

    fn of(tokens: TokenStream, path: &[String]) -> Self {
        let mut module = Self::default();
        let mut within = path.to_vec();
        module.walk(tokens, path.len(), &mut within);
        module
    }

    /// `within` is the module that the tokens stand in; the file's own has `depth` segments.
    fn walk(&mut self, tokens: TokenStream, depth: usize, within: &mut Vec<String>) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) => self.walk(group.stream(), depth, within),
                TokenTree::Literal(literal) => self.texts.extend(text_of(&literal)),
                TokenTree::Punct(_) => {}
                TokenTree::Ident(ident) if ident == "mod" => {
                    let Some(name) = next_ident(&mut tokens) else { continue };
                    within.push(name.to_string());
                    match tokens.next() {
                        Some(TokenTree::Group(group)) => self.walk(group.stream(), depth, within),
                        _ => self.declared.push(within[depth..].to_vec()),
                    }
                    within.pop();
                }
                TokenTree::Ident(ident) if is_anchor(&ident) && skip_colons(&mut tokens) => {
                    let mut from = within.clone();
                    step(&mut from, &ident);
                    self.read_path(&mut tokens, from, None);
                }
                // `crate as name` of a use tree, or a visibility, which names nothing.
                TokenTree::Ident(ident) if ident == "crate" && is_ident(&mut tokens, "as") => {
                    self.named.push(Named { line: line_of(&ident), segments: Vec::new() });
                }
                TokenTree::Ident(_) => {}
            }
        }
    }

    /// Reads what follows the `::` after `from`: one path, or a tree of them. `line` is the line of its first
    /// segment.
    fn read_path(&mut self, tokens: &mut Peekable<IntoIter>, mut from: Vec<String>, mut line: Option<usize>) {
        loop {
            let last = match tokens.peek() {
                Some(TokenTree::Ident(ident)) => {
                    line = if from.is_empty() { Some(line_of(ident)) } else { line.or(Some(line_of(ident))) };
                    step(&mut from, ident);
                    tokens.next();
                    !skip_colons(tokens)
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    let mut branches = group.stream().into_iter().peekable();
                    tokens.next();
                    while branches.peek().is_some() {
                        self.read_path(&mut branches, from.clone(), line);
                        // An alias leads nowhere else.
                        while branches.next().is_some_and(|token| !is_punct(&token, ',')) {}
                    }
                    return;
                }
                Some(token @ TokenTree::Punct(punct)) if punct.as_char() == '*' => {
                    line = line.or(Some(line_of_token(token)));
                    from.push("*".to_owned());
                    true
                }
                // The generic arguments of `path::<Type>`.
                _ => true,
            };
            if last {
                self.named.push(Named { line: line.unwrap_or_default(), segments: from });
                return;
            }
        }
    }
}

/// Goes on from a module by one segment.
fn step(from: &mut Vec<String>, segment: &Ident) {
    match segment.to_string().as_str() {
        "crate" => from.clear(),
        "super" => drop(from.pop()),
        "self" => {}
        name => from.push(name.trim_start_matches("r#").to_owned()),
    }
}

fn is_anchor(ident: &Ident) -> bool {
    ident == "crate" || ident == "super" || ident == "self"
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn is_ident(tokens: &mut Peekable<IntoIter>, word: &str) -> bool {
    matches!(tokens.peek(), Some(TokenTree::Ident(ident)) if ident == word)
}

fn next_ident(tokens: &mut Peekable<IntoIter>) -> Option<Ident> {
    match tokens.next_if(|token| matches!(token, TokenTree::Ident(_))) {
        Some(TokenTree::Ident(ident)) => Some(ident),
        _ => None,
    }
}

/// Passes a `::`, if it comes next.
fn skip_colons(tokens: &mut Peekable<IntoIter>) -> bool {
    let first = tokens.next_if(|token| is_punct(token, ':')).is_some();
    first && tokens.next_if(|token| is_punct(token, ':')).is_some()
}

fn line_of(ident: &Ident) -> usize {
    ident.span().start().line
}

fn line_of_token(token: &TokenTree) -> usize {
    token.span().start().line
}

/// The text between the quotes of a string literal.
fn text_of(literal: &Literal) -> Option<(usize, String)> {
    let written = literal.to_string();
    let (prefix, rest) = written.split_once('"')?;
    let is_text = prefix.chars().all(|c| "rbc#".contains(c));
    let (text, _) = rest.rsplit_once('"')?;
    is_text.then(|| (literal.span().start().line, text.to_owned()))
}

/// The tokens without documentation, and without what is compiled only for tests and fuzzing.
fn without_tests(tokens: TokenStream) -> TokenStream {
    let mut kept = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if is_punct(&token, '#') {
            let inner = tokens.next_if(|token| is_punct(token, '!'));
            if let Some(TokenTree::Group(attribute)) = tokens.next_if(is_brackets) {
                if is_for_tests(&attribute) {
                    if inner.is_some() {
                        return TokenStream::new();
                    }
                    skip_item(&mut tokens);
                } else if !starts_with(&attribute, "doc") {
                    kept.push(TokenTree::Group(attribute));
                }
                continue;
            }
        }
        kept.push(match token {
            TokenTree::Group(group) => {
                let mut stripped = Group::new(group.delimiter(), without_tests(group.stream()));
                stripped.set_span(group.span());
                TokenTree::Group(stripped)
            }
            other => other,
        });
    }
    kept.into_iter().collect()
}

fn is_brackets(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket)
}

fn starts_with(attribute: &Group, word: &str) -> bool {
    matches!(attribute.stream().into_iter().next(), Some(TokenTree::Ident(ident)) if ident == word)
}

/// Whether an attribute is a `cfg` that holds in builds for tests and fuzzing only.
fn is_for_tests(attribute: &Group) -> bool {
    starts_with(attribute, "cfg")
        && match attribute.stream().into_iter().nth(1) {
            Some(TokenTree::Group(condition)) => holds_in_tests_only(condition.stream()),
            _ => false,
        }
}

fn holds_in_tests_only(condition: TokenStream) -> bool {
    let mut tokens = condition.into_iter();
    let Some(TokenTree::Ident(word)) = tokens.next() else { return false };
    match tokens.next() {
        None => word == "test",
        Some(TokenTree::Group(list)) if word == "all" => {
            conditions(&list).into_iter().any(holds_in_tests_only)
        }
        Some(TokenTree::Group(list)) if word == "any" => {
            conditions(&list).into_iter().all(holds_in_tests_only)
        }
        Some(_) if word == "feature" => {
            matches!(tokens.next(), Some(TokenTree::Literal(name)) if name.to_string() == "\"fuzzing\"")
        }
        Some(_) => false,
    }
}

/// What stands between the commas of a list.
fn conditions(list: &Group) -> Vec<TokenStream> {
    let tokens: Vec<TokenTree> = list.stream().into_iter().collect();
    let parts = tokens.split(|token| is_punct(token, ','));
    parts.filter(|part| !part.is_empty()).map(|part| part.iter().cloned().collect()).collect()
}

/// Skips what an attribute belongs to: an item, a statement, a field or an arm.
fn skip_item(tokens: &mut Peekable<IntoIter>) {
    let mut keyword = None;
    while let Some(token) = tokens.next() {
        let keyword_is = |words: &[&str]| keyword.as_deref().is_some_and(|word| words.contains(&word));
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => drop(tokens.next_if(is_brackets)),
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            // The commas of generic parameters belong to the item.
            TokenTree::Punct(punct) if punct.as_char() == ',' && !keyword_is(&ITEMS) => return,
            TokenTree::Group(group)
                if group.delimiter() == Delimiter::Brace
                    && !keyword_is(&["use", "static", "let", "type"]) =>
            {
                return;
            }
            TokenTree::Ident(ident) if MODIFIERS.iter().any(|word| ident == word) => {}
            TokenTree::Ident(ident) if keyword.is_none() => keyword = Some(ident.to_string()),
            TokenTree::Ident(ident) if ident == "fn" && keyword_is(&["const"]) => {
                keyword = Some("fn".to_owned());
            }
            TokenTree::Ident(_) if keyword_is(&["const"]) => keyword = Some("static".to_owned()),
            _ => {}
        }
    }
}

/// What may stand before the word that tells the kind of an item.
const MODIFIERS: [&str; 4] = ["pub", "async", "unsafe", "extern"];

/// The words that tell the kinds of items, and of statements that end with a semicolon.
const ITEMS: [&str; 13] = [
    "const",
    "enum",
    "fn",
    "impl",
    "let",
    "macro_rules",
    "mod",
    "static",
    "struct",
    "trait",
    "type",
    "union",
    "use",
];

/// A file of a crate, by its path within the project.
pub(super) struct File {
    pub(super) path: Utf8PathBuf,
    /// Where its module is, from the root of the crate.
    pub(super) module: Vec<String>,
    pub(super) holds: Module,
}

/// The files that a root leads to by its `mod` lines, itself included, each read by `read_file`.
pub(super) fn files_from(root: &Utf8Path, read_file: fn(&str, &[String]) -> Module) -> Vec<File> {
    let mut found = Vec::new();
    let mut left = vec![(root.to_owned(), Vec::new())];
    while let Some((path, module)) = left.pop() {
        let holds = read_file(&read(&path), &module);
        for declared in &holds.declared {
            left.push((
                declared_in(&path, path == root, declared),
                [module.clone(), declared.clone()].concat(),
            ));
        }
        found.push(File { path, module, holds });
    }
    found
}

/// The file of a module that another file declares.
fn declared_in(declaring: &Utf8Path, is_root: bool, module: &[String]) -> Utf8PathBuf {
    let owns_folder = is_root || declaring.file_name() == Some("mod.rs");
    let mut folder = declaring.with_extension("");
    if owns_folder {
        folder.pop();
    }
    folder.extend(module);
    let file = folder.with_extension("rs");
    if workspace_root().join(&file).exists() { file } else { folder.join("mod.rs") }
}
