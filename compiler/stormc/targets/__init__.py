"""What a workload looks like in the cluster; a second kind of workload is a second file."""
