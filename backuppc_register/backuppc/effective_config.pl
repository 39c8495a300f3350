# What BackupPC's own code says about a host: QUESTION HOST CONFDIR TOPDIR LIBRARY [FILE], FILE being read in the
# place of the host's own.
# `settings` and `alive` answer in JSON, one object a line; the last one counts. It comes before a wait too, so
# that whoever loses patience knows what for. `each` answers with a line of settings for each host that FILE names,
# HOST being the seconds that one may take.
use strict;
use warnings;

my ($question, $client, $confDir, $topDir, $library, $proposed) = @ARGV;
my $json = eval { require JSON::PP } ? JSON::PP->new->ascii->canonical : die("perl has no JSON::PP\n");

# The settings are programs; what they print is no answer of ours.
open(my $answer, '>&', \*STDOUT) or die("no standard output: $!\n");
open(STDOUT, '>&', \*STDERR) or die("no standard error: $!\n");
$answer->autoflush(1);
sub say_that { print $answer $json->encode({@_}), "\n" }

unshift(@INC, $library);
require BackupPC::Lib;

# As BackupPC::Lib->new does, with our folders: it has /etc/backuppc compiled in.
my $paths = {
    useFHS => 0, TopDir => $topDir, ConfDir => $confDir, InstallDir => $library =~ s{/lib/?$}{}r,
    LogDir => "$topDir/log", RunDir => '/run/backuppc',
};
my $bpc = bless({%$paths}, 'BackupPC::Lib');
$bpc->{storage} = BackupPC::Storage->new($paths);
delete @ENV{qw(IFS CDPATH ENV BASH_ENV)};

no warnings;    # BackupPC's own code has none
if ( defined($proposed) && $question ne 'each' ) {
    my $path = \&BackupPC::Storage::Text::ConfigPath;
    *BackupPC::Storage::Text::ConfigPath = sub { defined($_[1]) ? $proposed : $path->(@_) };
}
my ( %Conf, @clients );

# BackupPC hands the bytes of its files on as they are; JSON is made of characters.
sub characters { my ($bytes) = @_; utf8::decode($bytes); $bytes }

sub list { my ($value) = @_; ref($value) eq 'ARRAY' ? @$value : () }

# Takes the settings, which are read, as those of $client.
sub taken {
    %Conf = $bpc->Conf();
    # BackupPC_dump's list of hosts to check.
    @clients = ref($Conf{ClientNameAlias}) eq 'ARRAY' ? @{$Conf{ClientNameAlias}}
        : $Conf{ClientNameAlias} ne '' ? ($Conf{ClientNameAlias}) : ($client);
}

sub settings {
    # BackupPC_dump: FullPeriod -1 and -2 are the older way to switch backups off.
    my $disabled = $Conf{BackupsDisable} || $Conf{FullPeriod} < 0;
    my $substituted = sub {
        $bpc->cmdVarSubstitute([@_], {
            host => $clients[0], hostIP => $clients[0], client => $client, confDir => $Conf{ConfDir},
            sshPath => $Conf{SshPath},
        });
    };
    my $ssh = ref($Conf{RsyncSshArgs}) eq 'ARRAY' ? $substituted->(@{$Conf{RsyncSshArgs}}) : undef;
    my @more = map({ list($Conf{$_}) } qw(RsyncArgs RsyncFullArgsExtra RsyncIncrArgsExtra RsyncArgsExtra));
    unshift(@more, "--rsync-path=$Conf{RsyncClientPath}") if ( $Conf{RsyncClientPath} ne '' );
    # Xfer/Protocol.pm, shareName2Path
    my $paths = ref($Conf{ClientShareName2Path}) eq 'HASH' ? $Conf{ClientShareName2Path} : {};
    my @shares = ref($Conf{RsyncShareName}) eq 'ARRAY' ? @{$Conf{RsyncShareName}} : ($Conf{RsyncShareName});
    @shares = map({ $paths->{$_} ne '' ? $paths->{$_} : $paths->{'*'} ne '' ? $paths->{'*'} : $_ } @shares);
    say_that(
        host        => $client,
        xfer_method => "$Conf{XferMethod}",
        disabled    => $disabled ? JSON::PP::true() : JSON::PP::false(),
        clients     => [map({ "$_" } @clients)],
        ssh_path    => "$Conf{SshPath}",
        ssh_args    => $ssh && [map({ "$_" } @$ssh)],
        rsync_args  => [map({ "$_" } @more)],
        shares      => [map({ characters("$_") } @shares)],
        full_period => $Conf{FullPeriod} + 0,
        incr_period => $Conf{IncrPeriod} + 0,
    );
}

# BackupPC_dump's way to the first client that it can ping. What it would ask NetBIOS for is no machine of ours.
sub alive {
    my %problem = (problem => 'name', what => $clients[0]);
    foreach my $name (@clients) {
        say_that(problem => 'name', what => $name, detail => "the DNS is slow");
        next if ( !defined($bpc->getHostAddrInfo($name)) );
        %problem = (problem => 'ping', what => $name);
        say_that(%problem);
        my $delay = $bpc->CheckHostAlive($name);
        if ( $delay < 0 ) {
            next;
        }
        if ( $delay > $Conf{PingMaxMsec} ) {
            %problem = (problem => 'slow', what => $name, detail => "$delay ms, PingMaxMsec is $Conf{PingMaxMsec}");
            next;
        }
        say_that(alive => $name);
        return;
    }
    say_that(%problem);
}

# The settings of all hosts are read once, as ConfigRead does it; then each host has a process of its own: one whose
# settings end Perl, or take for ever, spoils nobody else's.
sub each_host {
    my $seconds = $client;
    open(my $names, '<', $proposed) or die("no names: $!\n");
    chomp(my @names = <$names>);
    foreach my $name ( @names ) {
        my $child = fork() // die("no further process: $!\n");
        if ( !$child ) {
            alarm($seconds);
            $client = $name;
            my ($error, $conf) = $bpc->{storage}->ConfigDataRead($name, $bpc->{Conf});
            $bpc->{Conf} = $conf;
            defined($error) ? say_that(host => $name, problem => $error) : (taken(), settings());
            exit(0);
        }
        waitpid($child, 0);
        say_that(host => $name, problem => 'it takes too long') if ( ($? & 127) == 14 );
    }
}

my $error = $bpc->ConfigRead($question eq 'each' ? undef : $client);
if ( defined($error) ) {
    say_that(problem => $error);
} elsif ( $question eq 'each' ) {
    each_host();
} else {
    taken();
    $question eq 'alive' ? alive() : settings();
}
