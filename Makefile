# Each target is one script, which says what it does.

.PHONY: help run cluster image test test-faults lint bench lock clean

help:         ## these targets
	@sed -n 's/^\([a-z-]*:\) *## /make \1  /p' $(firstword $(MAKEFILE_LIST)) | sed 's/:  /\t/' | expand -t 20

run:          ## start ddnsd with an example, and print a curl and a dig to try
	@script/run

cluster:      ## start three etcd members, three nodes and a BIND, and print what to try
	@script/cluster

image:        ## build the image, with docker or buildah
	@script/image

test:         ## everything, with real nameservers
	@script/test

test-faults:  ## the long fault and fuzz runs, in full
	@script/test-faults

lint:         ## style, types, layers
	@script/lint

bench:        ## how fast, beside what it is built on
	@script/bench

lock:         ## pin the dependencies anew
	@script/lock

clean:        ## remove what was built; data/ stays
	@script/clean
