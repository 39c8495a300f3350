# What rsync takes for its remote shell (-e) where nobody is to be reached: FILE HOST COMMAND...
# Writes to FILE, in hex with a line feed behind each, HOST and the words of COMMAND, an empty line, and what rsync
# says first: with --protect-args a list of words, each with a NUL behind it, and an empty one; then its protocol,
# four bytes (rsync's compat.c).
use strict;
use warnings;

my $file = shift(@ARGV);
my $said = '';
binmode(STDIN);
while ( $said !~ /(?:\A|\0\0)[^\0]\0\0\0\z/ && length($said) < 1 << 20 ) {
    sysread(STDIN, $said, 4096, length($said)) or exit(1);
}
open(my $out, '>', $file) or die("$file: $!\n");
print $out map({ unpack('H*', $_) . "\n" } @ARGV), "\n", unpack('H*', $said), "\n";
close($out) or die("$file: $!\n");
