module go_afterfunc

go 1.19
