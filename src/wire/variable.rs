/// Names that tell programs how to work: a parameter that happens to have one must not change that.
const TAKEN: [&str; 19] = [
    "BASH_ENV",
    "CDPATH",
    "DISPLAY",
    "ENV",
    "GLIBC_TUNABLES",
    "HOME",
    "IFS",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "OLDPWD",
    "PATH",
    "PS4",
    "PWD",
    "SHELL",
    "SHELLOPTS",
    "TERM",
    "TMPDIR",
    "USER",
];

/// The same for names that begin so.
const TAKEN_PREFIXES: [&str; 6] = ["DYLD_", "LC_", "LD_", "MALLOC_", "PYTHON", "SMLT_"];

/// Whether a variable of the environment tells programs how to work, so that a command gets it from nobody else.
pub fn is_taken_variable(name: &str) -> bool {
    TAKEN.contains(&name) || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
