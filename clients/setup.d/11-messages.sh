# Messages and questions. The English text is in the call, as a printf format; messages.fr has its French.

say() {    # ENGLISH [VALUE]...
    translate "$@"
    show
}

# A line below the heading of a step.
note() {
    translate "$@"
    TEXT="  $TEXT"
    show
}

show() {
    printf '%s\n' "$TEXT"
    keep_in_log
    SAID=yes
}

warn() {
    translate "$@"
    show_warning
}

# A warning below the heading of a step.
caution() {
    translate "$@"
    TEXT="  $TEXT"
    show_warning
}

# What only a person can change; the exit status reports it too.
todo() {
    LEFT_TO_DO=yes
    mark "$@"
}

# The same, where --repair corrects it.
to_repair() {
    REPAIRABLE=yes
    todo "$@"
}

# What could not be tested is neither right nor wrong.
doubt() {
    IN_DOUBT=yes
    untested "$@"
}

# The same, where only the server can test it.
untested() {
    UNTESTED=yes
    translate "$@"
    TEXT="  ? $TEXT"
    show_warning
    SAID=yes
}

mark() {
    translate "$@"
    TEXT="  ! $TEXT"
    show_warning
    SAID=yes
}

show_warning() {
    printf '%s\n' "$TEXT" >&2
    keep_in_log
}

die() {    # STATUS ENGLISH [VALUE]...
    status=$1
    shift
    warn "$@"
    exit "$status"
}

heading() {
    translate "$@"
    keep_in_log
    printf '%s%s%s\n' "$BOLD" "$TEXT" "$PLAIN"
}

keep_in_log() {
    if [ "$LOGGING" = yes ]; then
        printf '%s\n' "$TEXT" >&3
    fi
}

step() {    # FUNCTION ENGLISH [VALUE]...
    action=$1
    shift
    before=$CHANGES
    SAID=no
    heading "$@"
    "$action"
    if [ "$CHANGES" -eq "$before" ] && [ "$SAID" = no ]; then
        note 'already in place'
    fi
}

# Show the text once for each folder in WORK/folders.
each_folder() {    # note|mark|todo|caution ENGLISH
    while IFS= read -r folder; do
        "$1" "$2" "$folder"
    done <"$WORK/folders"
}

can_ask() {
    [ "$UNATTENDED" = no ] && (: </dev/tty >/dev/tty) 2>/dev/null
}

no_terminal() {
    die 2 'There is no terminal for questions; please give --logon, and --yes or --unattended.'
}

# Questions go to the terminal, whatever standard input is.
ask() {    # ENGLISH [VALUE]...
    translate "$@"
    can_ask || no_terminal
    printf '%s ' "$TEXT" >/dev/tty
    IFS= read -r ANSWER </dev/tty || die 1 'No answer.'
}

yes_or_no() {    # ENGLISH [VALUE]...
    while :; do
        ask "$@"
        case $ANSWER in
            [yYoO] | [yY][eE][sS] | [oO][uU][iI]) return 0 ;;
            [nN] | [nN][oO] | [nN][oO][nN]) return 1 ;;
        esac
    done
}

# Replace all that is not printable ASCII, line ends excepted: text of the server goes to a terminal. ssh ends its own
# lines with a carriage return.
printable() {
    tr -d '\r' | tr '\000-\011\013-\037\177-\377' '?'
}

# The server writes a byte outside ASCII as \xHH. Show the letters that have two such bytes in UTF-8 (Latin, Greek,
# Cyrillic, up to U+05FF); everything else stays \xHH. None of these letters controls the terminal or formats the text.
readable() {    # TEXT
    printf '%b' "$(printf '%s\n' "$1" | printable | awk '
        function hex(digit) { return index("0123456789abcdef", tolower(digit)) - 1 }
        function octal(escape) { return sprintf("\\0%o", 16 * hex(substr(escape, 3, 1)) + hex(substr(escape, 4, 1))) }
        function literal(text) { gsub(/\\/, "\\0134", text); return text }
        {
            out = ""
            while (match($0, /\\x([cC][3-9a-fA-F]|[dD][0-7])\\x[89abAB][0-9a-fA-F]/)) {
                out = out literal(substr($0, 1, RSTART - 1)) octal(substr($0, RSTART, 4)) octal(substr($0, RSTART + 4, 4))
                $0 = substr($0, RSTART + RLENGTH)
            }
            print out literal($0)
        }')"
}

# Set TEXT to the text in the language of the person, with the values in it.
translate() {    # ENGLISH [VALUE]...
    FORMAT=$1
    [ "$UI_LANG" != fr ] || french "$1"
    shift
    # shellcheck disable=SC2059  # the formats are ours, the values come after
    TEXT=$(printf -- "$FORMAT" "$@")
}

# Set FORMAT to the French of an English text.
french() {    # ENGLISH
    case $1 in
@table messages.fr
    esac
}
