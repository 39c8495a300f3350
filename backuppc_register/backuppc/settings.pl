# Ask BackupPC's own code: QUESTION HOST CONFDIR TOPDIR LIBRARY [FILE [CLIENT SHELL SCRATCH | NAME ADDRESS]].
# The answers are JSON, one object a line.
# `settings`, `alive`, `loopback` and `transfers` are about HOST; if FILE is not empty, it is read instead of the host's
# own file. `loopback` pings the address CLIENT of this very server; without HOST by the settings of config.pl.
# The last line counts. Before each wait there is a line as well: after a timeout it names what was waited for.
# `each` answers with a line of settings for each host that FILE names; HOST is the seconds for one host.
# `main` answers with the settings of config.pl.
use strict;
use warnings;
use Errno;

my ($question, $client, $confDir, $topDir, $library, $proposed, $chosen, $shell, $scratch) = @ARGV;
my $json = eval { require JSON::PP } ? JSON::PP->new->ascii->canonical->allow_blessed->allow_unknown : die("perl has no JSON::PP\n");

# The settings are programs: what they print must not get into the answer.
open(my $output, '>&', \*STDOUT) or die("no standard output: $!\n");
open(STDOUT, '>&', \*STDERR) or die("no standard error: $!\n");
$output->autoflush(1);
sub answer { print $output $json->encode({@_}), "\n" }

unshift(@INC, $library);
require BackupPC::Lib;

# As BackupPC::Lib->new does, with our folders: it has /etc/backuppc compiled in, and whether ConfDir has a folder pc.
open(my $main, '<', $INC{'BackupPC/Lib.pm'}) or die("no Lib.pm: $!\n");
my ($useFHS) = map({ /^\s*my\s*\$useFHS\s*=\s*(\d)/ ? $1 : () } <$main>);
close($main);    # or Perl's own errors would name it
my $paths = {
    useFHS => $useFHS, TopDir => $topDir, ConfDir => $confDir, InstallDir => $library =~ s{/lib/?$}{}r,
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

# Use the settings just read as those of $client.
sub use_settings {
    %Conf = $bpc->Conf();
    # BackupPC_dump's list of hosts to check.
    @clients = ref($Conf{ClientNameAlias}) eq 'ARRAY' ? @{$Conf{ClientNameAlias}}
        : $Conf{ClientNameAlias} ne '' ? ($Conf{ClientNameAlias}) : ($client);
}

# Return RsyncSshArgs for one of the clients.
sub ssh_args {
    my ($name) = @_;
    return undef if ( ref($Conf{RsyncSshArgs}) ne 'ARRAY' );
    my $words = $bpc->cmdVarSubstitute([@{$Conf{RsyncSshArgs}}], {
        host => $name, hostIP => $name, client => $client, confDir => $Conf{ConfDir}, sshPath => $Conf{SshPath},
    });
    return [map({ "$_" } @$words)];
}

sub settings {
    # BackupPC_dump: FullPeriod -1 and -2 are the older way to disable backups.
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
    answer(
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
        ping        => [map({ join(' ', ref($_) eq 'ARRAY' ? @$_ : ($_)) } @Conf{qw(PingCmd PingPath Ping6Path)})],
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

# Find the first client that answers a ping, as BackupPC_dump does. NetBIOS is not asked: no machine of ours needs it.
sub alive {
    my %problem = (problem => 'name', what => $clients[0]);
    my $said = listen_to_ping();
    foreach my $name (@clients) {
        answer(problem => 'name', what => $name, detail => "the DNS is slow");
        # $chosen and $shell are here a name and the one of its addresses to ping.
        my $target = lc($name) eq lc($chosen) ? $shell : $name;
        my $family = $bpc->getHostAddrInfo($target);
        next if ( !defined($family) );
        %problem = (problem => 'ping', what => $name, loopback => $family == 6 ? '::1' : '127.0.0.1');
        answer(%problem, detail => "the ping did not end in time");
        my $delay = $bpc->CheckHostAlive($target);
        $problem{detail} = $$said;
        next if ( $delay < 0 );
        if ( $delay > $Conf{PingMaxMsec} ) {
            %problem = (problem => 'slow', what => $name, detail => "$delay ms, PingMaxMsec is $Conf{PingMaxMsec}");
            next;
        }
        answer(alive => $name);
        return;
    }
    answer(%problem);
}

# Ping this server itself, at its address $chosen.
sub loopback {
    my $said = listen_to_ping();
    answer(late => JSON::PP::true());
    my $delay = $bpc->CheckHostAlive($chosen);
    answer($delay < 0 ? (problem => $$said) : (alive => $chosen));
}

# Return a reference to what the last command of BackupPC's said, or to how it ended if it said nothing.
sub listen_to_ping {
    my ( $run, $said ) = ( \&BackupPC::Lib::cmdSystemOrEval, '' );
    *BackupPC::Lib::cmdSystemOrEval = sub {
        my $output = $run->(@_);
        my ( $status, $died, $program ) = ( $?, $@, ref($_[1]) eq 'ARRAY' ? $_[1][0] : $_[1] );
        $said = $output . ( $program =~ /^&/ ? $died : '' );
        $said =~ s/\s+/ /g;
        $said =~ s/^ | $//g;
        $said = substr($said, 0, 140) . ' ... ' . substr($said, -155) if ( length($said) > 300 );
        $said = why_not_started($program)
            || "$program ended with " . ( $status & 127 ? 'signal ' . ( $status & 127 ) : 'status ' . ( $status >> 8 ) )
            if ( $said eq '' || $said =~ /^Exec of .* failed$/ );
        $? = $status;
        return $output;
    };
    return \$said;
}

sub why_not_started {
    my ($program) = @_;
    return 'PingCmd and PingPath name no program' if ( $program =~ /^\s*$/ );
    return '' if ( $program !~ m{^/} );
    return $!{ENOENT} ? "there is no $program" : "$program cannot be started: $!" if ( !-e $program );
    my $why = -d $program ? 'it is a folder' : !-x $program ? 'it is not executable' : '';
    return $why && "$program cannot be started: $why";
}

# Report the program, with all its arguments, that BackupPC_dump starts for each folder of a first full backup of CLIENT.
# Its remote shell is SHELL, and it stores what it receives in SCRATCH. In hex: the arguments are bytes.
sub transfers {
    require BackupPC::Xfer;
    require BackupPC::Xfer::Rsync;
    my (@started, %done, $command);
    # start() forks a child that becomes rsync. Here the child ends, and the parent reports the command.
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
            answer(problem => $@ || $xfer->errStr || 'start');
            return;
        }
        # cmdExecOrEval cuts each word at its first line feed.
        push(@started, {path => hex_of($xfer->shareName2Path($share)), command => [map({ hex_of(/(.*)/) } @$command)]});
    }
    answer(ssh_args => $ssh, transfers => \@started);
}

# Return the bytes that a program would get, in hex.
sub hex_of { my ($text) = @_; utf8::encode($text) if ( utf8::is_utf8($text) ); unpack('H*', $text) }
sub Silent::write { 1 }

# Read the settings for all hosts once, as ConfigRead does; then use a process for each host. So settings that end Perl,
# or never end, do no harm to other hosts.
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
            defined($error) ? answer(host => $name, problem => $error) : (use_settings(), settings());
            exit(0);
        }
        waitpid($child, 0);
        answer(host => $name, problem => 'it takes too long') if ( ($? & 127) == 14 );
    }
}

sub main_settings {
    my ($error, $conf) = -r "$confDir/config.pl" ? $bpc->{storage}->ConfigDataRead() : 'it cannot be read';
    answer(defined($error) ? (problem => $error) : (settings => $conf));
}

if ( $question eq 'main' ) {
    main_settings();
    exit(0);
}
my $error = $bpc->ConfigRead($question eq 'each' || $client eq '' ? undef : $client);
if ( defined($error) ) {
    answer(problem => $error);
} elsif ( $question eq 'each' ) {
    each_host();
} else {
    use_settings();
    {alive => \&alive, loopback => \&loopback, transfers => \&transfers, settings => \&settings}->{$question}->();
}
