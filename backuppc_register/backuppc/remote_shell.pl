# Act as rsync's remote shell (-e) without a connection: FILE HOST COMMAND...
# Write to FILE, in hex with a line feed after each: HOST, the words of COMMAND, an empty line, and what rsync sends
# first. With --protect-args that is a list of words, each with a NUL after it, and an empty one; then its protocol, four
# bytes (rsync's compat.c).
use strict;
use warnings;

my $file = shift(@ARGV);
my $sent = '';
binmode(STDIN);
while ( $sent !~ /(?:\A|\0\0)[^\0]\0\0\0\z/ && length($sent) < 1 << 20 ) {
    sysread(STDIN, $sent, 4096, length($sent)) or exit(1);
}
open(my $out, '>', $file) or die("$file: $!\n");
print $out map({ unpack('H*', $_) . "\n" } @ARGV), "\n", unpack('H*', $sent), "\n";
close($out) or die("$file: $!\n");
