//! File, environment and secrets become settings. The only room that reads the
//! environment.

/// Whether the environment asks for no colours (<https://no-color.org>).
#[must_use]
pub fn colours_unwanted() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
