autocmd BufNewFile,BufRead *.smlt setfiletype smlt
