//! The rules that a file is held to: one stable id for each kind of mistake.

use crate::model::open_enum::words;

words! {
    /// How grave a diagnostic is.
    Severity {
        /// The files are refused.
        Error = "error",
        /// The files are accepted, but somebody should look.
        Warning = "warning",
    }
}

/// Gives the rules their ids, their severity and their description at once, the last out of their comments, so that what is documented
/// is what the program says.
macro_rules! rules {
    (
        errors: { $($(#[doc = $error_doc:literal])+ $error:ident = $error_id:literal,)+ }
        warnings: { $($(#[doc = $warning_doc:literal])+ $warning:ident = $warning_id:literal,)+ }
    ) => {
        words! {
            /// One kind of mistake. The words are stable: code hosts show them, and scripts may depend on them.
            DiagnosticCode {
                $($(#[doc = $error_doc])+ $error = $error_id,)+
                $($(#[doc = $warning_doc])+ $warning = $warning_id,)+
            }
        }

        impl DiagnosticCode {
            /// How grave it is to break the rule.
            pub fn severity(self) -> Severity {
                match self {
                    $(DiagnosticCode::$error)|+ => Severity::Error,
                    $(DiagnosticCode::$warning)|+ => Severity::Warning,
                }
            }

            /// What the mistake is, in a sentence.
            pub fn description(self) -> &'static str {
                match self {
                    $(DiagnosticCode::$error => concat!($($error_doc),+).trim_ascii(),)+
                    $(DiagnosticCode::$warning => concat!($($warning_doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

rules! {
    errors: {
        /// A file or directory can't be read.
        Unreadable = "unreadable",
        /// A FIFO, a socket or a device where a file should be.
        NotAFile = "not-a-file",
        /// A file outside of the folder that the files of its PATH belong to, or one of git's own.
        Confined = "confined",
        /// Nothing to load: no file in a directory, or nothing but fragments.
        NothingToLoad = "nothing-to-load",
        /// A file, a value, or all of it together is larger than any desired state.
        TooLarge = "too-large",
        /// The file is not UTF-8.
        NotUtf8 = "not-utf-8",
        /// A character that can't be seen, and could disguise what a file says.
        ControlCharacter = "control-character",
        /// A file whose first key is none of ours: nothing of it is shown.
        ForeignFile = "foreign-file",
        /// The file declares nothing.
        EmptyDocument = "empty-document",
        /// The text is not YAML.
        Syntax = "syntax",
        /// Collections nested deeper than anything a file can declare.
        Nesting = "nesting",
        /// An alias without an anchor, one within its own anchor, or aliases that multiply without measure.
        Alias = "alias",
        /// A YAML tag such as `!!str`.
        Tag = "tag",
        /// A key stands twice in one mapping.
        DuplicateKey = "duplicate-key",
        /// A key that is a list or a mapping.
        KeyNotText = "key-not-text",
        /// A key that means nothing here.
        UnknownKey = "unknown-key",
        /// A key that has to be there.
        MissingKey = "missing-key",
        /// A list where a mapping belongs, a text where a number belongs.
        WrongType = "wrong-type",
        /// Not one of the words that are allowed.
        UnknownWord = "unknown-word",
        /// `yes`, `no`, `on`, `off`: booleans of YAML 1.1, plain text since.
        YamlBoolean = "yaml-1.1-boolean",
        /// A line of `--env-file` that sets nothing, or something that doesn't belong there.
        EnvFile = "env-file",
        /// Another version of the format than 1.
        Version = "version",
        /// A number that is out of bounds or oddly written.
        Number = "number",
        /// A name, or a behavior's key, with characters that it can't have.
        Name = "name",
        /// Not an account id.
        AccountId = "account-id",
        /// Not an integration's id.
        IntegrationId = "integration-id",
        /// Not the base URL of a tenant.
        TenantUrl = "tenant-url",
        /// An empty reference, or an empty name of an identity provider.
        ReferenceId = "reference-id",
        /// A `reference_id` and an `identity_provider` in one entry.
        TwoReferences = "two-references",
        /// Not a day of the calendar.
        Date = "date",
        /// Not the name of an environment variable, or one that may not hold a token.
        VariableName = "variable-name",
        /// An entry that declares nothing.
        EmptyEntry = "empty-entry",
        /// The same thing twice in one list.
        DuplicateItem = "duplicate-item",
        /// No account id, neither in the file nor on the command line nor in the environment.
        MissingAccountId = "missing-account-id",
        /// The file and the command line name different accounts.
        AccountIdConflict = "account-id-conflict",
        /// Two documents for one account.
        DuplicateAccount = "duplicate-account",
        /// Two accounts with one name.
        DuplicateName = "duplicate-name",
        /// Two entries with one `tenant_url` that don't both pin an id.
        SharedTenantUrl = "shared-tenant-url",
        /// Two entries with one `reference_id` that don't both pin an id.
        SharedReferenceId = "shared-reference-id",
        /// Two entries pinned to one integration.
        SharedId = "shared-id",
        /// `null` where nothing is inherited.
        NothingToRemove = "nothing-to-remove",
        /// A file that extends itself, perhaps through others.
        ExtendsCycle = "extends-cycle",
        /// A file in `extends` that can't be used.
        Extends = "extends",
        /// A `${` that is no variable.
        Interpolation = "interpolation",
        /// A variable that is not set.
        UnsetVariable = "unset-variable",
        /// A variable that is set, but empty.
        EmptyVariable = "empty-variable",
        /// A variable that files may not read.
        ForbiddenVariable = "forbidden-variable",
        /// A file that the formatter leaves as it is.
        Layout = "layout",
        /// A variable that holds a credential, or seems to.
        SecretVariable = "secret-variable",
        /// A key that asks for a credential in the file.
        SecretKey = "secret-key",
    }
    warnings: {
        /// An `until` that has passed.
        Expired = "expired",
        /// Limits that stand beneath the root of the files that they limit.
        LimitsBeneathRoot = "limits-beneath-root",
        /// A tenant that is not an Okta organization: no score ever arrives there.
        NotAnOktaOrganization = "not-an-okta-organization",
        /// The host of an organization's admin console: no score ever arrives there.
        AdminHost = "admin-host",
        /// A reference that is not a UUID, as the id of every Access identity provider is.
        ReferenceNotUuid = "reference-not-uuid",
        /// `reference_id: null`: read as left out, since no server can be asked for none.
        NullReference = "null-reference",
        /// An item of `protected` that looks like a host and is taken for a reference.
        ProtectedHost = "protected-host",
    }
}

/// The rules as a table in Markdown. Ends with a line break.
pub fn table() -> String {
    let mut table = String::from("| rule | severity | what is wrong |\n| --- | --- | --- |\n");
    for rule in DiagnosticCode::ALL {
        let (severity, description) = (rule.severity(), rule.description());
        table.push_str(&format!("| `{rule}` | {severity} | {description} |\n"));
    }
    table
}
