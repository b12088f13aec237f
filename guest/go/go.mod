module aloft

go 1.24
