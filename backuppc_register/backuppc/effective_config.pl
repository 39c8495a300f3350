# What BackupPC's own code says about a host: QUESTION HOST CONFDIR TOPDIR LIBRARY [FILE [CLIENT SHELL
# SCRATCH]], FILE being read in the place of the host's own where it is not empty.
# `settings`, `alive` and `transfers` answer in JSON, one object a line; the last one counts. It comes before a wait
# too, so that whoever loses patience knows what for. `each` answers with a line of settings for each host that FILE names,
# HOST being the seconds that one may take.
use strict;
use warnings;

my ($question, $client, $confDir, $topDir, $library, $proposed, $chosen, $shell, $scratch) = @ARGV;
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
if ( defined($proposed) && $proposed ne '' && $question ne 'each' ) {
    my $path = \&BackupPC::Storage::Text::ConfigPath;
    *BackupPC::Storage::Text::ConfigPath = sub { defined($_[1]) ? $proposed : $path->(@_) };
}
my ( %Conf, @clients );

sub list { my ($value) = @_; ref($value) eq 'ARRAY' ? @$value : () }

# Takes the settings, which are read, as those of $client.
sub taken {
    %Conf = $bpc->Conf();
    # BackupPC_dump's list of hosts to check.
    @clients = ref($Conf{ClientNameAlias}) eq 'ARRAY' ? @{$Conf{ClientNameAlias}}
        : $Conf{ClientNameAlias} ne '' ? ($Conf{ClientNameAlias}) : ($client);
}

# RsyncSshArgs for one of the clients.
sub ssh_args {
    my ($name) = @_;
    return undef if ( ref($Conf{RsyncSshArgs}) ne 'ARRAY' );
    my $words = $bpc->cmdVarSubstitute([@{$Conf{RsyncSshArgs}}], {
        host => $name, hostIP => $name, client => $client, confDir => $Conf{ConfDir}, sshPath => $Conf{SshPath},
    });
    return [map({ "$_" } @$words)];
}

sub settings {
    # BackupPC_dump: FullPeriod -1 and -2 are the older way to switch backups off.
    my $disabled = $Conf{BackupsDisable} || $Conf{FullPeriod} < 0;
    my @more = map({ list($Conf{$_}) } qw(RsyncArgs RsyncFullArgsExtra RsyncIncrArgsExtra RsyncArgsExtra));
    unshift(@more, "--rsync-path=$Conf{RsyncClientPath}") if ( $Conf{RsyncClientPath} ne '' );
    # Xfer/Protocol.pm, shareName2Path
    my $paths = ref($Conf{ClientShareName2Path}) eq 'HASH' ? $Conf{ClientShareName2Path} : {};
    my @shares = ref($Conf{RsyncShareName}) eq 'ARRAY' ? @{$Conf{RsyncShareName}} : ($Conf{RsyncShareName});
    @shares = map({ $paths->{$_} ne '' ? $paths->{$_} : $paths->{'*'} ne '' ? $paths->{'*'} : $_ } @shares);
    # BackupPC_dump, UserCommandRun
    my @commands = grep({ $Conf{UserCmdCheckStatus} && (ref($Conf{$_}) || $Conf{$_} ne '') }
        qw(DumpPreUserCmd DumpPreShareCmd DumpPostShareCmd DumpPostUserCmd));
    say_that(
        host        => $client,
        xfer_method => "$Conf{XferMethod}",
        disabled    => $disabled ? JSON::PP::true() : JSON::PP::false(),
        clients     => [map({ "$_" } @clients)],
        ssh_path    => "$Conf{SshPath}",
        ssh_args    => ssh_args($clients[0]),
        rsync_args  => [map({ "$_" } @more)],
        shares      => [map({ "$_" } @shares)],
        full_period => $Conf{FullPeriod} + 0,
        incr_period => $Conf{IncrPeriod} + 0,
        commands    => \@commands,
        broken      => (grep({ is_broken($Conf{$_}) } @commands))[0] // '',
        zero_files_fatal => $Conf{BackupZeroFilesIsFatal} ? JSON::PP::true() : JSON::PP::false(),
    );
}

# cmdSystemOrEval starts a program without a shell, or evaluates what begins with &.
sub is_broken {
    my $words = $bpc->cmdVarSubstitute(@_, {sshPath => $Conf{SshPath}, confDir => $Conf{ConfDir}});
    return $words->[0] =~ m{^/} && !(-f $words->[0] && -x _);
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

# The program, with all its arguments, that BackupPC_dump starts for each folder of a first full backup of CLIENT;
# its remote shell is SHELL, and it keeps what it gets in SCRATCH. In hex: they are bytes.
sub transfers {
    require BackupPC::Xfer;
    require BackupPC::Xfer::Rsync;
    my (@started, %done, $command);
    # start() makes a child of itself that becomes rsync; ours ends, and its parent tells us what it would have been.
    *BackupPC::Lib::cmdExecOrEval   = sub { POSIX::_exit(0) };
    *BackupPC::Lib::execCmd2ShellCmd = sub { (undef, @$command) = @_; '' };
    my $ssh = ssh_args($chosen);
    $bpc->{Conf} = {%Conf, TopDir => $scratch, RsyncSshArgs => ['-e', $shell]};
    my $names = BackupPC::Xfer::getShareNames(\%Conf);
    foreach my $share ( map({ Encode::encode('utf8', $_) } @$names) ) {
        next if ( $share eq '' || $done{$share}++ );
        my $xfer = BackupPC::Xfer::Rsync->new($bpc, {
            host => $chosen, hostIP => $chosen, client => $client, shareName => $share, type => 'full',
            XferMethod => 'rsync', XferLOG => bless({}, 'Silent'), newBkupIdx => 0,
            backups => [{num => 0, compress => 0}],
        });
        my $begun = eval { $xfer->start() };
        if ( !defined($begun) ) {
            say_that(problem => $@ || $xfer->errStr || 'start');
            return;
        }
        # cmdExecOrEval cuts each word at its first line feed.
        push(@started, {path => hex_of($xfer->shareName2Path($share)), command => [map({ hex_of(/(.*)/) } @$command)]});
    }
    say_that(ssh_args => $ssh, transfers => \@started);
}

# As a program would get it.
sub hex_of { my ($text) = @_; utf8::encode($text) if ( utf8::is_utf8($text) ); unpack('H*', $text) }
sub Silent::write { 1 }

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
    {alive => \&alive, transfers => \&transfers, settings => \&settings}->{$question}->();
}
