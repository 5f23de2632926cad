// SPDX-License-Identifier: BSD-2-Clause
//! The rows.

use Find::{Anywhere, Begin, Label, Whole};
use What::{Person, Route, Secret};

/// Where in a name a word has to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// Anywhere, as Sentry's SDKs have it; of a [harmless word](HARMLESS_WORDS) it may be a part.
    Anywhere,
    /// As a whole label: what is between dashes, dots, brackets, digits at its end, or capital letters. For words that are parts of many others.
    Label,
    /// At the begin of a cookie's name.
    Begin,
    /// As all of a cookie's name.
    Whole,
}

/// What a value is that such a name has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Never leaves.
    Secret,
    /// Tells who somebody is: leaves with `send_default_pii`.
    Person,
    /// Tells which way a request took, addresses among it: as above, and only addresses are looked for elsewhere.
    Route,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Lower case, with dashes for underscores.
    pub word: &'static str,
    pub find: Find,
    pub what: What,
    pub why: &'static str,
}

const fn row(word: &'static str, find: Find, what: What, why: &'static str) -> Row {
    Row { word, find, what, why }
}

const SENTRYS: &str = "Sentry's list for SDKs";

/// All of them; those that are found anywhere first.
pub const ROWS: [Row; 100] = [
    row("auth", Anywhere, Secret, SENTRYS),
    row("token", Anywhere, Secret, SENTRYS),
    row("secret", Anywhere, Secret, SENTRYS),
    row("password", Anywhere, Secret, SENTRYS),
    row("passwd", Anywhere, Secret, SENTRYS),
    row("pwd", Anywhere, Secret, SENTRYS),
    row("key", Anywhere, Secret, SENTRYS),
    row("jwt", Anywhere, Secret, SENTRYS),
    row("bearer", Anywhere, Secret, SENTRYS),
    row("sso", Anywhere, Secret, SENTRYS),
    row("saml", Anywhere, Secret, SENTRYS),
    row("csrf", Anywhere, Secret, SENTRYS),
    row("xsrf", Anywhere, Secret, SENTRYS),
    row("session", Anywhere, Secret, SENTRYS),
    row("sid", Anywhere, Secret, SENTRYS),
    row("identity", Anywhere, Secret, SENTRYS),
    row("credential", Anywhere, Secret, SENTRYS),
    row("signature", Anywhere, Secret, "all of a signed URL's credential"),
    row("passphrase", Anywhere, Secret, "a password of words"),
    row("passcode", Anywhere, Secret, "a password of digits"),
    row("passwort", Anywhere, Secret, "a password, in German"),
    row("cookie", Anywhere, Secret, "cookies under another name"),
    row("typo-user", Anywhere, Secret, "TYPO3's logins (fe_typo_user, be_typo_user)"),
    row("rememberme", Anywhere, Secret, "a login that lasts (Symfony and others)"),
    row("client-cert", Anywhere, Secret, "a client's certificate (RFC 9440, proxies)"),
    row("clientcert", Anywhere, Secret, "a client's certificate (Azure, AWS)"),
    row("ssl-client", Anywhere, Secret, "a client's certificate, or its names"),
    row("card-number", Anywhere, Secret, "a payment card"),
    row("cardnumber", Anywhere, Secret, "a payment card"),
    row("hmac", Label, Secret, "a keyed hash that admits a request"),
    row("sig", Label, Secret, "all of a storage link's credential"),
    row("pass", Label, Secret, "a password"),
    row("pw", Label, Secret, "a password"),
    row("psw", Label, Secret, "a password"),
    row("pswd", Label, Secret, "a password"),
    row("pin", Label, Secret, "a password of digits"),
    row("otp", Label, Secret, "a password for once"),
    row("totp", Label, Secret, "a password for once"),
    row("mfa", Label, Secret, "a password for once"),
    row("tan", Label, Secret, "a password for once"),
    row("dpop", Label, Secret, "a proof that a token is one's own (RFC 9449)"),
    row("sess", Label, Secret, "a session"),
    row("cvv", Label, Secret, "a payment card"),
    row("cvc", Label, Secret, "a payment card"),
    row("ssn", Label, Secret, "a number of social security"),
    row("iban", Label, Secret, "an account at a bank"),
    row("ticket", Label, Secret, "a login's ticket (CAS)"),
    row("verifier", Label, Secret, "half of a login by OAuth"),
    row("creds", Label, Secret, "credentials"),
    row("principal", Label, Secret, "who a proxy has let in (Azure)"),
    row(
        "forwarded",
        Anywhere,
        Route,
        "Sentry's extended list; X-Forwarded-Proto and -Host with it: what they say is in the event's URL",
    ),
    row("-ip", Anywhere, Route, "Sentry's extended list"),
    row("remote-", Anywhere, Route, "Sentry's extended list"),
    row("via", Anywhere, Route, "Sentry's extended list"),
    row("clientip", Anywhere, Route, "an address"),
    row("-addr", Anywhere, Route, "an address"),
    row("-user", Anywhere, Person, "Sentry's extended list"),
    row("email", Anywhere, Person, "a person's address"),
    row("e-mail", Anywhere, Person, "a person's address"),
    row("username", Anywhere, Person, "a person's name"),
    row("userid", Anywhere, Person, "a person's number"),
    row("userinfo", Anywhere, Person, "who a proxy has let in"),
    row("phone", Label, Person, "a person's number"),
    row("msisdn", Label, Person, "a person's number, as mobile networks add it"),
    row("imsi", Label, Person, "a person's number, as mobile networks add it"),
    row("wordpress-", Begin, Secret, "WordPress"),
    row("wp-postpass", Begin, Secret, "WordPress"),
    row("wp-settings", Begin, Person, "WordPress"),
    row("sess", Begin, Secret, "Drupal"),
    row("ssess", Begin, Secret, "Drupal, TLS"),
    row("be-lastlogin", Begin, Person, "TYPO3"),
    row("frontend", Whole, Secret, "Magento's customers"),
    row("frontend-cid", Whole, Secret, "Magento's customers"),
    row("adminhtml", Whole, Secret, "Magento's staff"),
    row("admin", Whole, Secret, "Magento's staff"),
    row("remember-", Begin, Secret, "Laravel, Rails, Symfony"),
    row("phpbb", Begin, Secret, "phpBB"),
    row("xf-", Begin, Secret, "XenForo"),
    row("-t", Whole, Secret, "Discourse"),
    row(".asp", Begin, Secret, "ASP.NET and ASP.NET Core"),
    row("asp.net", Begin, Secret, "ASP.NET"),
    row("joomla-", Begin, Secret, "Joomla"),
    row("moodleid", Begin, Secret, "Moodle"),
    row("prestashop-", Begin, Secret, "PrestaShop"),
    row("nc-", Begin, Secret, "Nextcloud"),
    row("--ac", Whole, Secret, "Plone"),
    row("cf-clearance", Whole, Secret, "Cloudflare"),
    row("--cf-bm", Whole, Secret, "Cloudflare"),
    row("login", Begin, Secret, "any login"),
    row("logged-in", Begin, Secret, "any login"),
    row("bb-", Begin, Secret, "vBulletin"),
    row("wiki", Begin, Secret, "MediaWiki"),
    row("umb-", Begin, Secret, "Umbraco"),
    row("ghost-", Begin, Secret, "Ghost"),
    row("kc-", Begin, Secret, "Keycloak"),
    row("django", Begin, Secret, "Django"),
    row("flask", Begin, Secret, "Flask"),
    row("rack.", Begin, Secret, "Rack"),
    row("connect.", Begin, Secret, "Express"),
    row("play-", Begin, Secret, "Play"),
];

/// Words that have one of the above in them and mean nothing of the kind.
pub const HARMLESS_WORDS: [&str; 62] = [
    "accessories",
    "accessory",
    "aside",
    "associate",
    "associated",
    "association",
    "author",
    "authored",
    "authoring",
    "authority",
    "authors",
    "aviation",
    "beside",
    "clientside",
    "compressor",
    "consider",
    "considered",
    "deviation",
    "donkey",
    "espresso",
    "hockey",
    "hotkey",
    "inside",
    "jockey",
    "keyboard",
    "keyboards",
    "keyframe",
    "keyframes",
    "keynote",
    "keypad",
    "keyword",
    "keywords",
    "lesson",
    "lessons",
    "mckey",
    "monkey",
    "monkeys",
    "obsession",
    "outside",
    "possession",
    "preprocessor",
    "president",
    "processor",
    "processors",
    "professor",
    "reside",
    "residence",
    "resident",
    "residential",
    "secretariat",
    "secretary",
    "serverside",
    "side",
    "sidebar",
    "sides",
    "subsidy",
    "tokenization",
    "tokenize",
    "tokenized",
    "tokenizer",
    "trivia",
    "whiskey",
];

/// Characters of a line of the manual.
const WIDTH: usize = 160;

/// The rows as the manual has them, an item of reStructuredText for each kind: a test compares.
pub fn manual() -> String {
    let mut out = String::new();
    for (find, what, title) in [
        (Anywhere, Secret, "secrets, anywhere in a name"),
        (Label, Secret, "secrets, as a whole word of a name (``my_pin``, ``userPass``, ``X-Sig``)"),
        (Begin, Secret, "logins, at the begin of a cookie's name"),
        (Whole, Secret, "logins, as all of a cookie's name"),
        (Begin, Person, "a person, at the begin of a cookie's name"),
        (Anywhere, Person, "a person, anywhere in a name"),
        (Label, Person, "a person, as a whole word of a name"),
        (Anywhere, Route, "an address, anywhere in a name"),
    ] {
        let rows = || ROWS.iter().filter(|row| row.find == find && row.what == what);
        let mut reasons: Vec<&str> = rows().map(|row| row.why).collect();
        reasons.sort_unstable();
        reasons.dedup();
        let told = reasons.into_iter().map(|why| {
            let words: Vec<_> = rows().filter(|row| row.why == why).map(|row| format!("``{}``", row.word)).collect();
            format!("{} ({why})", words.join(", "))
        });
        item(&mut out, &format!("{title}: {}", told.collect::<Vec<_>>().join("; ")));
    }
    let words: Vec<_> = HARMLESS_WORDS.iter().map(|word| format!("``{word}``")).collect();
    item(&mut out, &format!("none of them, though one is in it: {}", words.join(", ")));
    out
}

/// Adds an item of a list, in lines.
fn item(out: &mut String, text: &str) {
    let mut line = "*".to_owned();
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            " ".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_reason_and_a_word_as_it_is_compared() {
        for row in ROWS {
            assert!(!row.why.is_empty() && row.word.len() > 1, "{row:?}");
            assert!(manual().contains(&format!("``{}``", row.word)), "{row:?}");
            assert!(row.word.bytes().all(|byte| !byte.is_ascii_uppercase() && byte != b'_'), "{row:?}");
        }
        for word in HARMLESS_WORDS {
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
        }
        assert!(HARMLESS_WORDS.is_sorted());
    }
}
