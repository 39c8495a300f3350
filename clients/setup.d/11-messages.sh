# Everything is said in two languages, English first; the text is a printf format.
say() {    # ENGLISH FRENCH [VALUE]...
    in_language "$@"
    printf '%s\n' "$TEXT"
    keep_in_log
    SAID=yes
}

warn() {
    in_language "$@"
    printf '%s\n' "$TEXT" >&2
    keep_in_log
}

die() {    # STATUS ENGLISH FRENCH [VALUE]...
    status=$1
    shift
    warn "$@"
    exit "$status"
}

in_language() {
    case $TONGUE in
        fr) format=$2 ;;
        *) format=$1 ;;
    esac
    shift 2
    # shellcheck disable=SC2059  # the formats are ours, the values come after
    TEXT=$(printf -- "$format" "$@")
}

keep_in_log() {
    if [ "$LOGGING" = yes ]; then
        printf '%s\n' "$TEXT" >&3
    fi
}

heading() {
    in_language "$@"
    keep_in_log
    printf '%s%s%s\n' "$BOLD" "$TEXT" "$PLAIN"
}

step() {    # FUNCTION ENGLISH FRENCH [VALUE]...
    action=$1
    shift
    before=$CHANGES
    SAID=no
    heading "$@"
    "$action"
    if [ "$CHANGES" -eq "$before" ] && [ "$SAID" = no ]; then
        say '  in place already' '  déjà en place'
    fi
}

# Something that only the administrator may change: said now, and the exit status says it again.
todo() {
    LEFT_TO_DO=yes
    mark "$@"
}

mark() {
    in_language "$@"
    keep_in_log
    SAID=yes
    printf '%s\n' "  ! $TEXT" >&2
}

tell_each() {    # ENGLISH FRENCH, of each of WORK/folders
    while IFS= read -r folder; do
        say "$@" "$folder"
    done <"$WORK/folders"
}

can_ask() {
    [ "$UNATTENDED" = no ] && (: </dev/tty >/dev/tty) 2>/dev/null
}

nobody_to_ask() {
    die 2 'There is no terminal to ask on; please give --logon, and --yes or --unattended.' \
        'Il n’y a pas de terminal où poser la question ; donnez --logon, et --yes ou --unattended.'
}

# Questions go to the terminal, whatever standard input is.
ask() {    # ENGLISH FRENCH [VALUE]...
    in_language "$@"
    can_ask || nobody_to_ask
    printf '%s' "$TEXT" >/dev/tty
    IFS= read -r ANSWER </dev/tty || die 1 'No answer.' 'Pas de réponse.'
}

yes_or_no() {    # ENGLISH FRENCH [VALUE]...
    while :; do
        ask "$@"
        case $ANSWER in
            [yYoO] | [yY][eE][sS] | [oO][uU][iI]) return 0 ;;
            [nN] | [nN][oO] | [nN][oO][nN]) return 1 ;;
        esac
    done
}

# What the server says, fit for a terminal.
printable() {
    tr '\000-\011\013-\037\177-\377' '?'
}

# The server writes every byte outside ASCII as \xHH. Give back those that make printable UTF-8, nothing else: no
# control characters, nothing that changes the direction of the text.
readable() {    # TEXT
    printf '%b' "$(printf '%s\n' "$1" | printable | awk '
        function hex(text) {
            if (text !~ /^\\x[89a-fA-F][0-9a-fA-F]$/) return -1
            text = tolower(substr(text, 3))
            return 16 * (index(digits, substr(text, 1, 1)) - 1) + index(digits, substr(text, 2, 1)) - 1
        }
        function octal(byte) { return sprintf("\\0%o", byte) }
        function shows(code) {
            if (code < 160 || code == 173 || (code >= 55296 && code <= 63743)) return 0
            if (code == 1564 || (code >= 8203 && code <= 8207) || (code >= 8232 && code <= 8238)) return 0
            if ((code >= 8288 && code <= 8303) || (code >= 65024 && code <= 65039) || code == 65279) return 0
            return code < 65520 || (code >= 65536 && code < 917504)
        }
        BEGIN { digits = "0123456789abcdef" }
        {
            out = ""
            for (at = 1; at <= length($0); ) {
                first = hex(substr($0, at, 4))
                more = first >= 240 && first < 248 ? 3 : first >= 224 && first < 240 ? 2 : first >= 194 && first < 224 ? 1 : 0
                code = more == 3 ? first - 240 : more == 2 ? first - 224 : first - 192
                piece = octal(first)
                for (i = 1; i <= more; i++) {
                    next_byte = hex(substr($0, at + 4 * i, 4))
                    if (next_byte < 128 || next_byte >= 192) { more = 0; break }
                    code = 64 * code + next_byte - 128
                    piece = piece octal(next_byte)
                }
                if (more == 2 && code < 2048 || more == 3 && code < 65536) more = 0
                if (more && shows(code)) { out = out piece; at += 4 * (more + 1); continue }
                character = substr($0, at, 1)
                out = out (character == "\\" ? "\\\\" : character)
                at++
            }
            print out
        }')"
}
