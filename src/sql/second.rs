//! A second opinion: does another parser read what ours refuses?
//!
//! It says whether words are probably SQL that this version of Airlock does not know, or broken. It never says what they mean.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

/// Longer texts are not asked about: a message is not worth the time.
const MAX: usize = 64 * 1024;

/// Exactly one statement, read to its end.
pub fn reads(statement: &str) -> bool {
    if statement.len() > MAX {
        return false;
    }
    let dialect = PostgreSqlDialect {};
    let Ok(tokens) = Tokenizer::new(&dialect, statement).tokenize_with_location() else { return false };
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    parser.parse_statement().is_ok() && parser.peek_token().token == Token::EOF
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_a_whole_statement_counts() {
        assert!(super::reads("SELECT 1"));
        assert!(!super::reads("SELECT 1 END"));
        assert!(!super::reads("SELEC 1"));
    }
}
